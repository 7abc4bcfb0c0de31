"""One typed function for each command: no console, no flag; the command line and Python call the same."""
