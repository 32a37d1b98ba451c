"""An exception as text: its type, message and place, never the values of its frames."""

import traceback
from collections.abc import Iterator
from pathlib import PurePath

MAX_DEPTH = 5


def words(error: BaseException) -> str:
    """Return `ValueError: no such thing < KeyError: 'x'`: the error, those inside it, and its causes."""
    return " < ".join(f"{type(one).__name__}: {one}".rstrip(": ") for one in _chain(error, MAX_DEPTH))


def place(error: BaseException) -> str:
    """Return its frames, the innermost last: `sidecar/a.py:12 run > sidecar/b.py:34 send`."""
    innermost = list(_chain(error, MAX_DEPTH))[-1]
    frames = traceback.extract_tb((error if error.__traceback__ else innermost).__traceback__)
    return " > ".join(f"{'/'.join(PurePath(f.filename).parts[-2:])}:{f.lineno} {f.name}" for f in frames)


def _chain(error: BaseException, depth: int) -> Iterator[BaseException]:
    yield error
    if depth == 0:
        return
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for one in (*inner, error.__cause__):
        if one is not None:
            yield from _chain(one, depth - 1)
