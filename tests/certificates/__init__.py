"""Both checkers on honest bundles, on a corpus of lies named by their reasons, on mutants, on hostile files."""
