"""Interval and backward linear bounds of the noisy network, for search only."""
