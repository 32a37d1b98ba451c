"""`sidecar logs`: what happened, and what happens, without losing or doubling a fact over a restart."""

import contextlib
import json
import signal

import pytest
from cli_kit import CLICK_ID, WAIT, Service, ended, process, read_until, sidecar


def newest(running: Service, limit: int) -> list[str]:
    """The newest lines of the log as JSON."""
    return sidecar("logs", "--json", "--limit", str(limit), url=running.url).stdout.splitlines()


def test_history_is_reported_oldest_first(running: Service) -> None:
    assert sidecar("send", "lead", "--msclkid", CLICK_ID, "--wait", WAIT, url=running.url).exit_code == 0
    shown = sidecar("logs", "--limit", "1000", url=running.url)
    assert shown.exit_code == 0
    assert "INFO    msads-sidecar" in shown.stdout.splitlines()[0]
    assert "\x1b" not in shown.stdout


def test_json_is_one_object_a_line_as_the_api_has_it(running: Service) -> None:
    facts = [json.loads(line) for line in newest(running, 1000)]
    assert facts[0]["name"] == "started"
    assert [fact["time"] for fact in facts] == sorted(fact["time"] for fact in facts)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("--name", "started"), ["started"]),
        (("--name", "started", "--until", "2000-01-01T00:00:00Z"), []),
        (("--name", "started", "--since", "2000-01-01T00:00:00Z"), ["started"]),
        (("--name", "started", "--level", "error"), []),
        (("--name", "started", "--account", "default"), []),
        (("--order-id", "NONE-1"), []),
        (("--conversion-id", "conv_999"), []),
    ],
)
def test_filters_are_those_of_the_api(filters: tuple[str, ...], names: list[str], running: Service) -> None:
    shown = sidecar("logs", "--json", *filters, url=running.url)
    assert shown.exit_code == 0
    assert [json.loads(line)["name"] for line in shown.stdout.splitlines()] == names


def test_limit_keeps_the_newest(running: Service) -> None:
    known, one = newest(running, 1000), newest(running, 1)
    while known != (now := newest(running, 1000)):  # something happened between: a batch of another test ended
        known, one = now, newest(running, 1)
    assert one == known[-1:]


def test_filter_that_the_sidecar_refuses_is_reported_in_its_words(running: Service) -> None:
    shown = sidecar("logs", "--since", "yesterday", url=running.url)
    assert shown.exit_code == 1
    assert "\n  since: must be a time" in shown.stderr


@pytest.mark.parametrize("wrong", [("--limit", "0"), ("--limit", "1001"), ("--level", "loud"), ("more",)])
def test_wrong_options_are_wrong_usage(wrong: tuple[str, ...]) -> None:
    assert sidecar("logs", *wrong).exit_code == 2


def test_reader_that_has_enough_ends_it_quietly(running: Service) -> None:
    """`sidecar logs | head -1`"""
    with process("logs", "--follow", "--url", running.url, folder=running.folder) as watch:
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.stdout.close()
        sidecar("send", "lead", "--msclkid", CLICK_ID, "--wait", WAIT, url=running.url)
        assert watch.stderr is not None
        assert watch.stderr.read() == ""
        assert watch.wait() == 1


def test_interrupted_watch_ends_quietly(running: Service) -> None:
    with process("logs", "--follow", "--url", running.url, folder=running.folder) as watch:
        read_until("serves at", watch.stdout)
        code, _, err = ended(watch, signal.SIGINT)
    assert (code, err.strip()) == (130, "")


def test_watch_outlives_a_restart_and_neither_loses_nor_doubles(service: Service) -> None:
    """A watch that breaks off goes on where it was, by Last-Event-ID."""
    assert sidecar("logs", "--follow", url=service.url).exit_code == 1  # it did not run before: that is no restart
    with contextlib.ExitStack() as stack:
        with service.running():
            watch = stack.enter_context(
                process("logs", "--follow", "--json", "--url", service.url, folder=service.folder)
            )
            seen = read_until('"started"', watch.stdout)
        with service.running():
            seen += read_until('"started"', watch.stdout)
            _, rest, err = ended(watch, signal.SIGINT)
            kept = sidecar("logs", "--json", url=service.url).stdout
    assert seen + rest == kept
    assert kept.count('"started"') == 2
    assert err.count("went away; waiting for it to come back") == 1
