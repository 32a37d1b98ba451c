"""Every duration, size and number of the configuration has an upper bound, with any key."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from sidecar.config import ConfigError, parse
from sidecar.config.sections import Config

HUGE = {"duration": "999999999999999d", "size": "999999999999999TiB", "number": "999999999999999999"}

NAMED = {"accounts": "shop", "events": "sale"}
"""A section of names, and one name for it."""


def kinds(path: tuple[str, ...], annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    """Every key below, dotted, with what its value is."""
    models = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type)]
    for model in (each for each in models if issubclass(each, BaseModel)):
        named = (NAMED[path[0]],) if path and path[0] in NAMED else ()
        for name, field in model.model_fields.items():
            yield from kinds((*path, *named, name), field.annotation, tuple(field.metadata))
        return
    text = f"{annotation} {metadata}"
    if "duration_text" in text:
        yield ".".join(path), "duration"
    elif "size_text" in text:
        yield ".".join(path), "size"
    elif int in models and bool not in models:
        yield ".".join(path), "number"


KEYS = sorted(kinds((), Config, ()))


def test_all_keys_are_found() -> None:
    assert {
        ("storage.retention", "duration"),
        ("events.sale.window", "duration"),
        ("server.max_body", "size"),
        ("storage.min_free_disk", "size"),
        ("storage.max_pending", "number"),
        ("server.port", "number"),
    } <= set(KEYS)
    assert len(KEYS) >= 19


@pytest.mark.parametrize(("key", "kind"), KEYS)
def test_no_key_takes_what_is_far_too_large(key: str, kind: str) -> None:
    *sections, name = key.split(".")
    lines = [f"{'  ' * depth}{section}:" for depth, section in enumerate(sections)]
    lines.append(f"{'  ' * len(sections)}{name}: {HUGE[kind]}")
    if sections[0] == "events":
        lines.append(f"{'  ' * len(sections)}goal: Sale")
    text = "microsoft: {environment: emulator}\n" + "\n".join(lines)
    with pytest.raises(ConfigError) as refused:
        parse(text, {})
    (message,) = str(refused.value).splitlines()[-1:]
    assert key in message
    assert "must be at most" in message or "must be a whole number from" in message


def test_keys_of_just_16_characters_are_taken() -> None:
    key = "test-key-16-long"
    assert len(key) == 16
    config = parse(f"microsoft: {{environment: emulator}}\nstorage: {{encryption_key: {key}}}", {})
    assert config.storage.encryption_key.get_secret_value() == key
    config = parse(f"microsoft: {{environment: emulator}}\nserver: {{api_keys: [{key}]}}", {})
    assert config.server.api_keys[0].get_secret_value() == key
