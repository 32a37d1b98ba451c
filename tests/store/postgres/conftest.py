"""What is PostgreSQL's own: its server, its connections, its migrations. Needs a server that is installed."""

import postgres_kit

if postgres_kit.binaries() is None:
    collect_ignore_glob = ["test_*.py"]
