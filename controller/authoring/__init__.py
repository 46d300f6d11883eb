"""For authors of sources: begin one, check it, try it alone."""
