"""A state-of-charge estimator for a lithium-ion cell, trained on a simulated one."""
