"""Small libraries in C that stand between a process and its disk."""

import asyncio
import shutil
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent
INSTALL = "gcc is needed for this check: install it (`apt-get install gcc libc6-dev`), Linux only"

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason=INSTALL)
"""For the short forms; the long ones fail where it is missing."""


async def compiled(name: str, folder: Path) -> Path:
    """The library made of `name`.c, in `folder`."""
    library, compiler = folder / f"{name}.so", shutil.which("gcc")
    assert compiler is not None, INSTALL
    source = str(SOURCES / f"{name}.c")
    compiling = await asyncio.create_subprocess_exec(
        *(compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), source, "-ldl")
    )
    assert await compiling.wait() == 0
    return library
