"""Knowledge sources that run elsewhere: declared and served over HTTP, in any language."""
