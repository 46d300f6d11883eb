"""What pages name: one module for each kind of mention, each a pure function from text to finds."""
