"""Meaning-changing edits of valid bundles, by kind."""
