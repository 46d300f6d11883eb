"""Benchmarks: run as scripts, from the root of the repository."""
