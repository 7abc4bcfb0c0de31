"""The networks. Importing this package imports no torch: ``specs`` and ``naming`` need none."""
