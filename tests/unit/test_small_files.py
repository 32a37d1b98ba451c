"""Files that others provide: reading any kind of file ends, and gives the reason when it gives nothing."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sidecar.config import ConfigError, load
from sidecar.microsoft.tls import UnusableRoots, context
from sidecar.service.api_key import stored_key
from sidecar.system import small_files


def reason(path: Path) -> str:
    with pytest.raises(OSError) as refused:
        small_files.read(path)
    return str(refused.value.strerror)


def pipe(folder: Path) -> Path:
    """A pipe that nothing is written into."""
    os.mkfifo(folder / "pipe", 0o600)
    return folder / "pipe"


def test_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * small_files.MOST_BYTES)
    (tmp_path / "link").symlink_to("file")
    assert len(small_files.read(tmp_path / "file")) == 2**20
    assert small_files.read(tmp_path / "link") == small_files.read(tmp_path / "file")


def test_pipe_device_and_folder_are_refused_without_waiting(tmp_path: Path) -> None:
    for path in (pipe(tmp_path), Path("/dev/zero")):
        assert reason(path) == "it is no regular file"
    assert reason(tmp_path) == "Is a directory"


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (small_files.MOST_BYTES + 1))
    assert reason(tmp_path / "file") == "it is larger than 1 MiB"


def test_what_does_not_answer_is_given_up() -> None:
    answer = threading.Event()
    try:
        with pytest.raises(TimeoutError) as refused:
            small_files.within(0.01, answer.wait)
        assert refused.value.strerror == "it could not be read within 0.01 seconds"
    finally:
        answer.set()


def test_stop_ends_in_time_though_a_thread_waits_for_ever() -> None:
    """Python itself waits at its end for a thread that is no daemon."""
    program = (
        "import threading; from sidecar.service.app import _end_within;"
        "threading.Thread(target=threading.Event().wait).start(); _end_within(0.1)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, "ended at once" in ended.stderr) == (1, True)


def test_own_secret_is_no_link_and_open_to_its_owner_only(tmp_path: Path) -> None:
    file, link = tmp_path / "outbox.db.api-key", tmp_path / "other.db.api-key"
    file.write_text("test-key-of-ours")
    link.symlink_to(file.name)
    file.chmod(0o640)
    with pytest.raises(PermissionError, match="others may read it: chmod 600"):
        stored_key(tmp_path / "outbox.db")
    file.chmod(0o600)
    assert stored_key(tmp_path / "outbox.db")[0] == "test-key-of-ours"
    with pytest.raises(OSError, match="symbolic link"):
        stored_key(tmp_path / "other.db")


def test_pipe_in_place_of_any_file_ends_in_an_error_that_names_it(tmp_path: Path) -> None:
    there = pipe(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: it is no regular file"):
        load(there, {})
    for line in (f"server: {{api_keys_file: {there}}}", f"storage: {{encryption_key_file: {there}}}"):
        (tmp_path / "config.yaml").write_text(f"microsoft: {{environment: emulator}}\n{line}\n")
        with pytest.raises(ConfigError, match="_file: the file cannot be read: it is no regular file"):
            load(tmp_path / "config.yaml", {})
    (tmp_path / "config.yaml").write_text(f"microsoft: {{environment: emulator, ca_bundle: {there}}}\n")
    with pytest.raises(ConfigError, match="ca_bundle: the file cannot be read: it is no regular file"):
        load(tmp_path / "config.yaml", {})
    with pytest.raises(UnusableRoots, match="no regular file"):
        context(there)
    there.rename(tmp_path / "outbox.db.api-key")
    with pytest.raises(OSError, match="no regular file"):
        stored_key(tmp_path / "outbox.db")
