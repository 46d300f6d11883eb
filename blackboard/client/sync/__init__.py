"""For programs without an event loop. Made from `blackboard.client.aio`."""
