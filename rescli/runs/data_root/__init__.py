"""Where a run has its images: its note of that, and what is said where they are there no more."""
