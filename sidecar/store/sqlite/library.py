"""The SQLite library as this process has loaded it, before any file is opened."""

import ctypes
import sqlite3
from functools import cache
from importlib.util import find_spec

_CONFIG_MEMSTATUS = 9
"""https://www.sqlite.org/c3ref/c_config_covering_index_scan.html#sqliteconfigmemstatus"""


@cache
def stop_counting_memory() -> bool:
    """Let SQLite no longer add up what memory it holds, which nobody asks; True when that could be done.

    It takes a lock of the whole process for each piece of memory, an eighth of the CPU time of an insert. Where a
    connection is open already, or the library is part of the interpreter and cannot be called, it stays as it is.
    """
    spec = find_spec("_sqlite3")
    if spec is None or not spec.has_location or spec.origin is None:
        return False
    try:
        library = ctypes.CDLL(spec.origin)
        library.sqlite3_memory_used.restype = ctypes.c_int64
        if library.sqlite3_memory_used() != 0:
            return False
        library.sqlite3_shutdown()
        answers = (
            library.sqlite3_config(ctypes.c_int(_CONFIG_MEMSTATUS), ctypes.c_int(0)),
            library.sqlite3_initialize(),
        )
        return answers == (sqlite3.SQLITE_OK, sqlite3.SQLITE_OK)
    except (OSError, AttributeError):
        return False
