"""The exact checker: its arithmetic against fractions, its verdicts on honest, false and malformed bundles."""
