"""Invoices and contracts made for measuring: clean ones, and ones with one error whose place is known."""
