"""Our pytest plug-in, and the boards behind its fixtures. Authors annotate with `blackboard.testing`."""
