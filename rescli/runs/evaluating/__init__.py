"""The checkpoints of runs under evaluation: errors that are known already, and the seal of the test set."""
