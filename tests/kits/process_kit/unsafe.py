"""Starts the sidecar with another `synchronous` than FULL: shows that a power cut would be noticed."""

import sys

from sidecar.cli import main
from sidecar.store.sqlite import database

if __name__ == "__main__":
    safe = "synchronous = FULL"
    assert safe in database._WRITER_SETTINGS
    database._WRITER_SETTINGS = database._WRITER_SETTINGS.replace(safe, f"synchronous = {sys.argv[1]}")
    main(sys.argv[3:], prog_name="sidecar")
