"""The URL of a database on a server: its form, its passwords, and how it is shown without them.

The form is libpq's: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("postgresql://", "postgres://")

MASK = "***"

_SHORTEST_PART = 3
"""Letters of a part of a password that is worth hiding; a shorter one is in any text."""

_FORM = re.compile(r"postgres(?:ql)?://(?P<authority>[^/?#]*)(?P<path>/[^/?#@]*)?(?P<query>\?[^#@]*)?")
_USER = re.compile(r"(?<=://)(?P<user>[^:@/?]*):(?P<password>.*)@", re.DOTALL)
"""Up to the last @: one that was not encoded is taken for a part of the password."""

_SECRET_OPTION = re.compile(r"(?<=[?&])(?P<name>(?:ssl)?password)=(?P<password>[^&]*)")


def is_postgres(url: str) -> bool:
    """Whether the URL names a database of a PostgreSQL server, or of one that speaks its protocol."""
    return url.startswith(SCHEMES)


def is_well_formed(url: str) -> bool:
    """Whether it has the form of a server's URL, with every special character of its password encoded."""
    found = _FORM.fullmatch(url)
    return found is not None and found["authority"].count("@") <= 1 and url.isprintable() and " " not in url


def without_password(url: str) -> str:
    """The URL as it may be shown; one of another database is shown as it is."""
    if not is_postgres(url):
        return url
    return _SECRET_OPTION.sub(rf"\g<name>={MASK}", _USER.sub(rf"\g<user>:{MASK}@", url))


def passwords_in(url: str) -> Sequence[str]:
    """Each password of the URL, as it is written and as it is meant."""
    if not is_postgres(url):
        return ()
    found = [match["password"] for form in (_USER, _SECRET_OPTION) for match in form.finditer(url)]
    return [text for text in dict.fromkeys((*found, *map(unquote, found))) if text]


def options_of(url: str) -> Mapping[str, str]:
    """What stands behind the question mark."""
    return dict(parse_qsl(urlsplit(url).query))


def hosts_of(url: str) -> Sequence[str]:
    """The names and addresses of the servers, without their ports; none where the URL leaves that to the driver."""
    found = _FORM.fullmatch(url)
    authority = found["authority"].rpartition("@")[2] if found else ""
    named = [re.sub(r":\d*$", "", one).strip("[]") for one in authority.split(",")]
    return [host for host in (*named, *options_of(url).get("host", "").split(",")) if host]


def database_name(url: str) -> str:
    """The name of the database; empty where the URL leaves it to the server."""
    found = _FORM.fullmatch(url)
    if found is None:
        return ""
    options = dict(parse_qsl((found["query"] or "").removeprefix("?")))
    return options.get("dbname") or unquote((found["path"] or "").removeprefix("/"))


def hide_passwords(text: str, url: str) -> str:
    """The text, such as an error of the driver, without the passwords of the URL that it may quote.

    A character that was not encoded can make a part of the password a part of the host's name.
    """
    parts = {part for password in passwords_in(url) for part in (password, *re.split("[@/:?#]", password))}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_PART or part in passwords_in(url):
            text = text.replace(part, MASK)
    return text
