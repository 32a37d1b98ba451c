"""One process: composition, configuration in force, HTTP server, what is printed at the start."""
