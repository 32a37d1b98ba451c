"""What is asked of the SQLite library before any file is opened: each time in a process of its own."""

import subprocess
import sys

import pytest

LOOK = """
import ctypes, sqlite3, _sqlite3
from sidecar.store.sqlite.library import stop_counting_memory

def counted():
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_memory_used.restype = ctypes.c_int64
    return library.sqlite3_memory_used()

def opened():
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE kept (n)")
    db.executemany("INSERT INTO kept VALUES (?)", [(n,) for n in range(1000)])
    return db
"""

STOPPED = """
assert stop_counting_memory()
db = opened()
assert stop_counting_memory()  # that it was done is remembered: with a file open it must not be done again
assert counted() == 0
"""

TOO_LATE = """
db = opened()
assert not stop_counting_memory()
assert counted() > 0
"""

BUILT_IN = """
import importlib.util
importlib.util.find_spec = lambda name: importlib.machinery.ModuleSpec(name, None, origin="built-in")
import sys
del sys.modules["sidecar.store.sqlite.library"]
from sidecar.store.sqlite.library import stop_counting_memory
assert not stop_counting_memory()
db = opened()
assert counted() > 0
"""

ELSEWHERE = """
import importlib.util
spec = importlib.util.find_spec("_json")  # a library without SQLite
importlib.util.find_spec = lambda name: spec
import sys
del sys.modules["sidecar.store.sqlite.library"]
from sidecar.store.sqlite.library import stop_counting_memory
assert not stop_counting_memory()
db = opened()
assert counted() > 0
"""


@pytest.mark.parametrize("given", [STOPPED, TOO_LATE, BUILT_IN, ELSEWHERE], ids=["first", "late", "built in", "other"])
def test_memory_is_counted_no_more_where_nothing_is_open_yet(given: str) -> None:
    rows = "assert db.execute('SELECT count(*), max(n) FROM kept').fetchone() == (1000, 999)"
    looked = subprocess.run(
        [sys.executable, "-c", f"{LOOK}{given}{rows}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (looked.returncode, looked.stderr) == (0, "")
