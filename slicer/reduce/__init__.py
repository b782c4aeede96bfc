"""Reduction rules: what is left of a network when units are known to be inactive."""
