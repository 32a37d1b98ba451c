"""The outbox in PostgreSQL, for one sidecar or many replicas."""
