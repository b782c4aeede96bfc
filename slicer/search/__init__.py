"""Untrusted search: falsification and branch and bound. It proposes; the checkers dispose."""
