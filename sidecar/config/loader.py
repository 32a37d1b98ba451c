"""Loads the configuration: locates, parses, fills in and validates the file; reports all problems at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config.consistency import check_consistency
from sidecar.config.environment_variables import substitute
from sidecar.config.problems import ConfigError, ConfigProblem, Report
from sidecar.config.secret_files import read_secret_files
from sidecar.config.sections import Config
from sidecar.config.validation import validate
from sidecar.config.warnings import add_warnings
from sidecar.config.yaml_document import parse_yaml
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
        source = "make it with `sidecar init`, or name another with --config or $SIDECAR_CONFIG"
    try:
        if small_files.exists(path):
            return path
    except OSError:  # a folder that may not be entered, a name that is too long: reading it says why
        return path
    raise ConfigError(path, [ConfigProblem(None, "", f"there is no such file; {source}")])


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, and the warnings about its file."""

    config: Config
    warnings: tuple[ConfigProblem, ...]


def load(path: Path, environ: Mapping[str, str]) -> LoadedConfig:
    """The configuration in the file at `path`, with `${NAME}` taken from `environ`.

    Raises ConfigError with every problem found.
    """
    return _read(read_text(path), environ, path)


def read_text(path: Path) -> str:
    """The text of the file at `path`. Raises ConfigError when it cannot be read."""
    try:
        return small_files.read(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(path, [ConfigProblem(None, "", f"cannot be read: {error.strerror}")]) from None
    except ValueError:
        raise ConfigError(path, [ConfigProblem(None, "", "is not UTF-8 text")]) from None


def parse(text: str, environ: Mapping[str, str], path: Path = DEFAULT_FILE) -> Config:
    """The configuration in `text`; problems name `path` as their file. Raises like `load`."""
    return _read(text, environ, path).config


def _read(text: str, environ: Mapping[str, str], path: Path) -> LoadedConfig:
    report = Report()
    values = {key: substitute(value, environ, (key,), report) for key, value in parse_yaml(text, report).items()}
    config = validate(read_secret_files(values, report), report)
    check_consistency(config, report)
    if report.problems:
        raise ConfigError(path, report.problems)
    add_warnings(config, report)
    return LoadedConfig(config, report.warnings)
