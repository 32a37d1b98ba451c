"""From a file to the frozen sections: find, read, fill in, validate, compare; all problems on the way at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config.document import read
from sidecar.config.doubts import doubt
from sidecar.config.report import ConfigError, ConfigProblem, Report
from sidecar.config.rules import check
from sidecar.config.secret_files import with_files_read
from sidecar.config.sections import Config
from sidecar.config.validation import sections_of
from sidecar.config.variables import filled
from sidecar.system import small_files

DEFAULT_FILE = Path("config.yaml")


def locate(given: Path | None, environ: Mapping[str, str]) -> Path:
    """The file to read: `given` (from `--config`), else `$SIDECAR_CONFIG`, else `./config.yaml`.

    Raises ConfigError when there is no such file.
    """
    named = environ.get("SIDECAR_CONFIG")
    if given is not None:
        path, source = given, "--config names it"
    elif named:
        path, source = Path(named), "$SIDECAR_CONFIG names it"
    else:
        path = DEFAULT_FILE
        source = "make it with `cp config.example.yaml config.yaml`, or name another with --config or $SIDECAR_CONFIG"
    try:
        if small_files.exists(path):
            return path
    except OSError:  # a folder that may not be entered, a name that is too long: reading it says why
        return path
    raise ConfigError(path, [ConfigProblem(None, "", f"there is no such file; {source}")])


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what in its file is probably a mistake."""

    config: Config
    warnings: tuple[ConfigProblem, ...]


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`, with `${NAME}` taken from `environ`.

    Raises ConfigError with every problem found.
    """
    return examine(path, environ).config


def examine(path: Path, environ: Mapping[str, str]) -> Loaded:
    """As `load`, with the warnings."""
    return _read(text_of(path), environ, path)


def text_of(path: Path) -> str:
    """The text of the file at `path`. Raises ConfigError when it cannot be read."""
    try:
        return small_files.read(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(path, [ConfigProblem(None, "", f"cannot be read: {error.strerror}")]) from None
    except ValueError:
        raise ConfigError(path, [ConfigProblem(None, "", "is not UTF-8 text")]) from None


def parse(text: str, environ: Mapping[str, str], path: Path = DEFAULT_FILE) -> Config:
    """The configuration in `text`; `path` is the name under which problems are told. Raises like `load`."""
    return _read(text, environ, path).config


def _read(text: str, environ: Mapping[str, str], path: Path) -> Loaded:
    report = Report()
    values = {key: filled(value, environ, (key,), report) for key, value in read(text, report).items()}
    config = sections_of(with_files_read(values, report), report)
    check(config, report)
    if report.problems:
        raise ConfigError(path, report.problems)
    doubt(config, report)
    return Loaded(config, report.warnings)
