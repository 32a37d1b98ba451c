"""What is stored: the statements, and the code around them, that every database of the store runs."""
