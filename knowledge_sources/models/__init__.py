"""The built-in sources that ask a language model. They contribute to the levels of the local ones, for the same bindings, so
that a policy can let them compete; nothing of what a model says is contributed unless the document bears it out."""
