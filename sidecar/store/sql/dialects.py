"""One text for a statement in both dialects: brackets hold what SQLite and PostgreSQL write differently.

[numbers :seqs]                       the numbers in a JSON list, for IN
[texts :names]                        the texts in one
[rows :steps AS step (seq bigint, state text)]   the lists in a JSON list, as rows
[append history, 'at', :now]          a JSON list with one more object, of these names and values
[length history]                      how many items a JSON list has; none where it is NULL
[last history, at]                    a member of its last object, as text
[amend history, 'at', :now]           the list with other members in its last object
[items history AS past]               its items, each as `value`
[flag maybe_sent]                     a 0 or 1 as false or true of JSON, in a list
[list a, b]                           a JSON list of these values
[lists a, b]                          a JSON list of such lists, one of each row
[join text]                           the texts of all rows, with commas between them
[begins name, 'part:']                whether a text begins so. SQLite finds it in the index, up to the semicolon, which
                                      is the byte after the colon; a server may sort the two otherwise
[position text, 'part']               where a part begins; 0 where it is not in the text
[greatest a, b]  [least a, b]         of two values, neither of which is NULL
[total value]                         a sum beyond 63 bits; 0 of no rows
[all rows]                            the sum of what replicas count apart; SQLite has one owner
[whole value]                         the same as the column of a sum stores it
[each entries e OF wanted.key_hash WHERE original IS NULL]
                                      rows of a table, looked up one by one through the index of that column, which has
                                      such rows: PostgreSQL reads all of a table that it has no statistics of yet
[by entries_ended]  [by no index]     the index that SQLite has to use: it knows too little of the data to choose
[plain state]                         a column by which SQLite must not look rows up
"""

import re
from collections.abc import Callable

_BRACKET = re.compile(r"\[([a-z]+)\s+((?:[^\[\]]|'[^']*')+)\]")


INTAKE_LOCK = 0x6D73_0002
"""The advisory lock that transactions of intake share, from taking numbers to the commit."""


class Dialects(str):
    """A statement whose text differs: SQLite's, as a plain text has it, and PostgreSQL's in `postgres`."""

    postgres: str

    def __new__(cls, *, sqlite: str, postgres: str) -> "Dialects":
        text = super().__new__(cls, sqlite)
        text.postgres = postgres
        return text


def sql(text: str) -> Dialects:
    """The statement in both dialects; KeyError for a bracket that is none of the above."""
    return Dialects(sqlite=_expanded(text, _SQLITE), postgres=_expanded(text, _POSTGRES))


def _expanded(text: str, writers: "dict[str, Callable[[str], str]]") -> str:
    """The text with each bracket written out, inner ones first."""
    while (after := _BRACKET.sub(lambda found: writers[found[1]](found[2]), text)) != text:
        text = after
    return text


def _columns(given: str) -> tuple[str, str, list[tuple[str, str]]]:
    """The place, the alias, and name and type of each column, of `:steps AS step (seq bigint)`."""
    place, alias, columns = re.fullmatch(r"(\S+) AS (\w+) \(([^()]*)\)", " ".join(given.split()), re.DOTALL).groups()  # type: ignore[union-attr]
    pairs = [column.split() for column in columns.split(",")]
    return place, alias, [(name, kind) for name, kind in pairs]


def _sqlite_rows(given: str) -> str:
    place, alias, columns = _columns(given)
    values = ", ".join(f"value ->> {number} AS {name}" for number, (name, _) in enumerate(columns))
    return f"(SELECT {values} FROM json_each({place})) AS {alias}"  # noqa: S608 - constants only


def _postgres_rows(given: str) -> str:
    place, alias, columns = _columns(given)
    values = ", ".join(f"CAST(value ->> {number} AS {kind}) AS {name}" for number, (name, kind) in enumerate(columns))
    return f"(SELECT {values} FROM json_array_elements(CAST({place} AS json)) AS value) AS {alias}"  # noqa: S608 - constants only


def _postgres_list(kind: str) -> Callable[[str], str]:
    return lambda place: f"(SELECT CAST(value AS {kind}) FROM json_array_elements_text(CAST({place} AS json)) AS value)"  # noqa: S608 - constants only


def _sqlite_append(given: str) -> str:
    history, members = given.split(",", 1)
    return f"json_insert(coalesce({history}, '[]'), '$[#]', json_object({members.strip()}))"


def _postgres_append(given: str) -> str:
    """By its text: jsonb would give the members another order."""
    history, members = (part.strip() for part in given.split(",", 1))
    before = f"CASE WHEN coalesce({history}, '[]') = '[]' THEN '[' ELSE left({history}, -1) || ', ' END"
    return f"({before} || json_build_object({members}) || ']')"


def _postgres_amend(given: str) -> str:
    """Members that are there keep their places; as in a merge patch, those that become NULL are gone."""
    history, members = (part.strip() for part in given.split(",", 1))
    last = f"CAST({history} AS json) -> -1"
    return f"""(SELECT '[' || string_agg(CASE WHEN item.place < json_array_length(CAST({history} AS json))
            THEN CAST(item.value AS text) ELSE (
                SELECT CAST(json_object_agg(coalesce(old.key, new.key), coalesce(new.value, old.value)
                    ORDER BY old.place, new.place) AS text)
                FROM json_each({last}) WITH ORDINALITY AS old (key, value, place)
                FULL JOIN json_each(json_build_object({members})) WITH ORDINALITY AS new (key, value, place)
                    ON new.key = old.key
                WHERE new.value IS NULL OR json_typeof(new.value) <> 'null') END, ', ' ORDER BY item.place) || ']'
        FROM json_array_elements(CAST({history} AS json)) WITH ORDINALITY AS item (value, place))"""  # noqa: S608


def _items(function: str) -> Callable[[str], str]:
    def made(given: str) -> str:
        place, alias = given.split(" AS ")
        return function.format(f"coalesce({place}, '[]')", alias)

    return made


def _last(pattern: str) -> Callable[[str], str]:
    return lambda given: pattern.format(*(part.strip() for part in given.split(",")))


def _sqlite_amend(given: str) -> str:
    history, members = (part.strip() for part in given.split(",", 1))
    return f"json_set({history}, '$[#-1]', json_patch({history} -> '$[#-1]', json_object({members})))"


def _postgres_each(given: str) -> str:
    table, alias, column, has = re.fullmatch(r"(\w+) (\w+) OF ([\w.]+) WHERE (.+)", given).groups()  # type: ignore[union-attr]
    own = column.rpartition(".")[2]
    return f"LATERAL (SELECT * FROM {table} WHERE {own} = {column} AND {has} OFFSET 0) {alias}"  # noqa: S608 - constants only


def _sqlite_begins(given: str) -> str:
    name, part = given.split(", ")
    return f"{name} >= {part} AND {name} < {part.replace(':', ';')}"


_SQLITE_LIST = "(SELECT value FROM json_each({0}))"

_SQLITE: dict[str, Callable[[str], str]] = {
    "numbers": _SQLITE_LIST.format,
    "texts": _SQLITE_LIST.format,
    "rows": _sqlite_rows,
    "append": _sqlite_append,
    "length": lambda value: f"json_array_length(coalesce({value}, '[]'))",
    "greatest": lambda values: f"max({values})",
    "least": lambda values: f"min({values})",
    "total": lambda value: f"total({value})",
    "whole": lambda value: f"CAST(total({value}) AS BIGINT)",
    "all": lambda column: column,
    "last": _last("{0} ->> '$[#-1].{1}'"),
    "amend": _sqlite_amend,
    "items": _items("json_each({0}) AS {1}"),
    "flag": lambda value: f"json(iif({value}, 'true', 'false'))",
    "list": lambda values: f"json_array({values})",
    "lists": lambda values: f"json_group_array(json_array({values}))",
    "join": lambda text: f"group_concat({text})",
    "begins": _sqlite_begins,
    "position": lambda given: f"instr({given})",
    "newest": "SELECT seq FROM sqlite_sequence WHERE name = '{0}'".format,
    "each": lambda given: given.partition(" OF ")[0],
    "by": lambda index: "NOT INDEXED" if index == "no index" else f"INDEXED BY {index}",
    "plain": lambda column: f"+{column}",
}

_POSTGRES: dict[str, Callable[[str], str]] = {
    "numbers": _postgres_list("bigint"),
    "texts": _postgres_list("text"),
    "rows": _postgres_rows,
    "append": _postgres_append,
    "length": lambda value: f"json_array_length(CAST(coalesce({value}, '[]') AS json))",
    "greatest": lambda values: f"greatest({values})",
    "least": lambda values: f"least({values})",
    "total": lambda value: f"coalesce(sum({value}), 0)",
    "whole": lambda value: f"coalesce(sum({value}), 0)",
    "all": lambda column: f"CAST(coalesce(sum({column}), 0) AS bigint)",
    "last": _last("(CAST({0} AS json) -> -1 ->> '{1}')"),
    "amend": _postgres_amend,
    "items": _items("json_array_elements(CAST({0} AS json)) AS {1} (value)"),
    "flag": lambda value: f"({value} = 1)",
    "list": lambda values: f"CAST(json_build_array({values}) AS text)",
    "lists": lambda values: f"CAST(coalesce(json_agg(json_build_array({values})), '[]') AS text)",
    "join": lambda text: f"string_agg({text}, ',')",
    "begins": lambda given: f"starts_with({given})",
    "position": lambda given: f"strpos({given})",
    "newest": "SELECT last_value FROM {0}_seq_seq".format,
    "each": _postgres_each,
    "by": lambda index: "",
    "plain": lambda column: column,
}
