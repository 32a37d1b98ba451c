"""Reads secrets from files: `client_secret_file` instead of `client_secret`."""

from pathlib import Path

from sidecar.config.problems import Report
from sidecar.config.yaml_document import Value
from sidecar.system import small_files

SECRETS = (
    ("server", "api_keys"),
    ("storage", "encryption_key"),
    ("microsoft", "client_secret"),
    ("microsoft", "developer_token"),
    ("microsoft", "refresh_token"),
    ("alerts", "webhook"),
)
"""Every secret, as section and key; the key of the file ends in `_file`."""


_BYTE_ORDER_MARK = "\ufeff"
"""The byte order mark that some editors write before a text."""


def read_secret_files(values: dict[str, Value], report: Report) -> dict[str, Value]:
    """`values` with each `x_file` replaced by an `x` that holds the file's text; an empty `x_file` counts as absent.

    Paths are relative to the working directory. The text of a path is not reported: it may be the secret itself,
    given to the wrong key.
    """
    result = dict(values)
    for section, key in SECRETS:
        inner = result.get(section)
        if isinstance(inner, dict) and f"{key}_file" in inner:
            result[section] = _with_file(inner, section, key, report)
    return result


def _with_file(section: dict[str, Value], name: str, key: str, report: Report) -> dict[str, Value]:
    path = (name, f"{key}_file")
    rest = {inner: value for inner, value in section.items() if inner != path[1]}
    file = section[path[1]]
    if not file:
        return rest
    if rest.get(key):
        report.add(path, f"contradicts {name}.{key}: give one of the two")
    elif not isinstance(file, str):
        report.add(path, "must be the path of a file")
    else:
        text = _read(file, path, report)
        lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
        rest[key] = list[Value](lines) if key == "api_keys" else text
    return rest


def _read(file: str, path: tuple[str, str], report: Report) -> str | None:
    try:
        text = small_files.read(Path(file)).decode("utf-8").rstrip("\r\n")
        if text.startswith(_BYTE_ORDER_MARK):
            report.warn(path, "the file begins with a byte order mark, which is left out: save it as plain UTF-8")
            text = text.removeprefix(_BYTE_ORDER_MARK)
    except OSError as error:
        report.add(path, f"the file cannot be read: {error.strerror}")
    except ValueError:
        report.add(path, "the file is not UTF-8 text")
    else:
        if text.strip():
            return text
        report.add(path, "the file is empty")
    return None
