"""A collision-avoidance advisory network, trained on a table that a dynamic program computes."""
