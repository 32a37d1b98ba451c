"""The way out: from due rows to settled ones."""
