"""What is worth saying of the splits, classes and images of a folder, or cannot be trained on."""
