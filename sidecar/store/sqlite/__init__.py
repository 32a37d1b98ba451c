"""The outbox in one SQLite file: WAL, `synchronous=FULL`, one connection that writes, others that only read."""
