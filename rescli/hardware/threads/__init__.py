"""The threads that compute: how many cores there are for them, and how they wait for each other."""
