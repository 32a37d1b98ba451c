"""The SQLite library as this process has loaded it, before any file is opened."""

import sqlite3
from functools import cache
from importlib.util import find_spec

_CONFIG_MEMSTATUS = 9
"""https://www.sqlite.org/c3ref/c_config_covering_index_scan.html#sqliteconfigmemstatus"""


@cache
def stop_counting_memory() -> bool:
    """Let SQLite no longer add up what memory it holds, which nobody asks; True when it does not do so any more.

    It takes a lock of the whole process for each piece of memory, an eighth of the CPU time of an insert. Where a
    connection is open already, or the library is part of the interpreter and cannot be called, it stays as it is.
    """
    spec = find_spec("_sqlite3")
    if spec is None or not spec.has_location or spec.origin is None:
        return False
    try:
        return _stop_counting_memory(spec.origin)
    except (ImportError, OSError, AttributeError):  # Python without ctypes, or with SQLite inside of it
        return False


def _stop_counting_memory(module: str) -> bool:
    import ctypes

    library = ctypes.CDLL(module)
    library.sqlite3_memory_used.restype = ctypes.c_int64
    library.sqlite3_config.argtypes = [ctypes.c_int]  # those beyond are variadic, and go elsewhere on some machines
    if library.sqlite3_compileoption_used(b"DEFAULT_MEMSTATUS=0"):
        return True
    if library.sqlite3_memory_used() != 0:  # something is open: it must not be shut down
        return False
    library.sqlite3_shutdown()
    answers = (
        library.sqlite3_config(_CONFIG_MEMSTATUS, ctypes.c_int(0)),
        library.sqlite3_initialize(),
    )
    return answers == (sqlite3.SQLITE_OK, sqlite3.SQLITE_OK)
