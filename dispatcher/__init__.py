"""Serve a bundle: route every input to its member and return the parent's bits."""
