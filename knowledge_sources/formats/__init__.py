"""One module for each format: from untrusted bytes to pages of text. `serving` is what runs inside a sandbox."""
