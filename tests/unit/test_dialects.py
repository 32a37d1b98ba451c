"""One text for a statement in both dialects, and two texts where they differ."""

import pytest

from sidecar.store.postgres.connection import bulk_text, translated
from sidecar.store.sql.connection import BulkStatement
from sidecar.store.sql.dialects import Dialects, sql
from sidecar.store.sqlite.connection import bulk_text as sqlite_bulk_text

BRACKETS = {
    "[numbers :seqs]": (
        "(SELECT value FROM json_each(:seqs))",
        "(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:seqs AS json)) AS value)",
    ),
    "[texts ?]": (
        "(SELECT value FROM json_each(?))",
        "(SELECT CAST(value AS text) FROM json_array_elements_text(CAST(? AS json)) AS value)",
    ),
    "[rows :steps AS step (seq bigint, state text)]": (
        "(SELECT value ->> 0 AS seq, value ->> 1 AS state FROM json_each(:steps)) AS step",
        "(SELECT CAST(value ->> 0 AS bigint) AS seq, CAST(value ->> 1 AS text) AS state "
        "FROM json_array_elements(CAST(:steps AS json)) AS value) AS step",
    ),
    "[greatest a, b]": ("max(a, b)", "greatest(a, b)"),
    "[least a, b]": ("min(a, b)", "least(a, b)"),
    "[total value]": ("total(value)", "coalesce(sum(value), 0)"),
    "[whole value]": ("CAST(total(value) AS BIGINT)", "coalesce(sum(value), 0)"),
    "[all rows]": ("rows", "CAST(coalesce(sum(rows), 0) AS bigint)"),
    "[length history]": (
        "json_array_length(coalesce(history, '[]'))",
        "json_array_length(CAST(coalesce(history, '[]') AS json))",
    ),
    "[last history, at]": ("history ->> '$[#-1].at'", "(CAST(history AS json) -> -1 ->> 'at')"),
    "[flag maybe_sent]": ("json(iif(maybe_sent, 'true', 'false'))", "(maybe_sent = 1)"),
    "[join text]": ("group_concat(text)", "string_agg(text, ',')"),
    "[position text, ' (order']": ("instr(text, ' (order')", "strpos(text, ' (order')"),
    "[newest entries]": (
        "SELECT seq FROM sqlite_sequence WHERE name = 'entries'",
        "SELECT last_value FROM entries_seq_seq",
    ),
    "entries [by entries_ended]": ("entries INDEXED BY entries_ended", "entries "),
    "entries [by no index]": ("entries NOT INDEXED", "entries "),
    "[plain state] = 'dead'": ("+state = 'dead'", "state = 'dead'"),
    "[each entries e OF wanted.key WHERE original IS NULL]": (
        "entries e",
        "LATERAL (SELECT * FROM entries WHERE key = wanted.key AND original IS NULL OFFSET 0) e",
    ),
    "[list a, [flag b]]": (
        "json_array(a, json(iif(b, 'true', 'false')))",
        "CAST(json_build_array(a, (b = 1)) AS text)",
    ),
}


@pytest.mark.parametrize("text", BRACKETS)
def test_bracket_is_written_out_for_each_database(text: str) -> None:
    both = sql(text)
    assert (str(both), both.postgres) == BRACKETS[text]


def test_unknown_bracket_is_an_error_where_the_statement_is_made() -> None:
    with pytest.raises(KeyError):
        sql("SELECT [median value] FROM entries")


def test_statement_without_brackets_is_the_same_in_both() -> None:
    both = sql("SELECT seq FROM entries WHERE lane = ? AND reason IN ('a', 'b')")
    assert str(both) == both.postgres


def test_two_statements_whose_text_for_sqlite_is_one_stay_two_for_postgresql() -> None:
    """Texts are kept once they are translated: each under what PostgreSQL gets."""
    texts = [translated(Dialects(sqlite="SELECT 1", postgres=postgres)) for postgres in ("SELECT 2", "SELECT 3")]
    assert texts == ["SELECT 2", "SELECT 3"]
    many = [
        bulk_text(BulkStatement("INSERT INTO t", "text", Dialects(sqlite="", postgres=after)))
        for after in ("RETURNING a", "RETURNING b")
    ]
    assert many == [f"INSERT INTO t SELECT * FROM unnest(CAST(%s AS text[])) RETURNING {one}" for one in "ab"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT ? WHERE a = :name", "SELECT %s WHERE a = %(name)s"),
        ("SELECT 'why?' || ':name'", "SELECT 'why?' || ':name'"),
        ("SELECT 'it''s ?', ?", "SELECT 'it''s ?', %s"),
        ("SELECT a % 86400, 'like%'", "SELECT a %% 86400, 'like%%'"),
        ("SELECT now()::date", "SELECT now()::date"),
    ],
)
def test_places_are_those_of_psycopg_outside_of_literals(text: str, wanted: str) -> None:
    assert translated(text) == wanted


def test_rows_are_values_for_sqlite_and_an_array_for_each_column_for_postgresql() -> None:
    many = BulkStatement("INSERT INTO t (a, b)", "bigint text", "ON CONFLICT DO NOTHING")
    assert sqlite_bulk_text(many, 2) == "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
    assert bulk_text(many) == (
        "INSERT INTO t (a, b) SELECT * FROM unnest(CAST(%s AS bigint[]), CAST(%s AS text[])) ON CONFLICT DO NOTHING"
    )
