"""Reading a body or a query within its limits."""
