"""How a run that was stopped goes on, and what is said where it cannot."""
