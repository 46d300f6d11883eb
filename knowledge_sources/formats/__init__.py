"""One module for each format: from bytes to pages."""
