"""Checks what several replicas did together, from one log: answers, Microsoft's ledger, the database. No I/O."""
