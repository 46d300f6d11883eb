"""For programs with an event loop. `blackboard.client.sync` is made from this package, file by file."""
