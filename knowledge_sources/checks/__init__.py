"""Checks of what a document says: against its own other passages, its own arithmetic and its own dates and names."""
