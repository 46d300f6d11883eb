"""Processes with limits, for bytes and for code that nobody here wrote.

`pool` runs a target of ours on untrusted bytes; `guest` runs a third party's source. Nothing is imported here: a child
imports from this package, and needs little of it.
"""
