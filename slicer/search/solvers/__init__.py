"""Solvers as advisers: their witnesses count once eval32 confirms them, their other answers are hints, not proofs."""
