"""Measures of accuracy, one module per kind of document; each has `measure(corpus, readings) -> list[Row]`."""
