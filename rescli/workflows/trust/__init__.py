"""Whether this machine, and a run on it, can be trusted."""
