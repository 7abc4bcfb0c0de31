"""What files are written to: locks, kinds of file systems, files and folders in the making."""
