"""The catalogue of goals: reading it, judging it, creating from it."""
