"""Prove units of a ReLU network redundant cell by cell, and write the bundle that a dispatcher serves."""
