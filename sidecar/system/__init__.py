"""What the operating system gives: sockets and small files."""
