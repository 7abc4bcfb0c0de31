"""What rescli reads back from a disk: each file is held against the types of what it should hold."""
