"""Untrusted input to a value, or to every problem found."""
