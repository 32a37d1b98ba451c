"""What the loops ask of the world."""
