"""Several replicas as real processes over one PostgreSQL, callers, disasters, and the log of it all."""
