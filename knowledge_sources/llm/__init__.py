"""The one way to call a model: what the whole fleet shares of it, and the only importer of the vendor's client."""
