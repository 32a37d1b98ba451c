"""Starts the sidecar with another `synchronous` than FULL: shows that a power cut would be noticed.

Nothing is copied back from the log meanwhile: in mode NORMAL each copy begins with an fsync of all that was answered.
"""

import sys

from sidecar.cli import main
from sidecar.store.sql import pruning
from sidecar.store.sqlite import database

if __name__ == "__main__":
    unsafe = {
        "synchronous = FULL": f"synchronous = {sys.argv[1]}",
        f"wal_autocheckpoint = {database.COPIED_PAGES}": "wal_autocheckpoint = 0",
    }
    for safe, other in unsafe.items():
        assert safe in database._WRITER_SETTINGS
        database._WRITER_SETTINGS = database._WRITER_SETTINGS.replace(safe, other)
    pruning.copy_back_each = lambda db, pages: None
    main(sys.argv[3:], prog_name="sidecar")
