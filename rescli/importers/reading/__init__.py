"""What is in a file of foreign weights, read without running any code that it names."""
