"""Reads the `user` of a request: e-mail and phone are hashed here, at the door, and go no further in plain."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sidecar.core import fields, identity
from sidecar.core.members import Members, Shape

SHAPE = Shape("user.", frozenset({"email", "phone", "email_sha256", "phone_sha256", "country"}))

_UNUSABLE = {
    "email": "is not of the form name@domain.tld in letters without accents, and was left out",
    "phone": "is no number that is possible, or lacks its country code (write +1..., give user.country, or set "
    "matching.default_country), and was left out",
}


@dataclass(frozen=True, slots=True)
class User:
    """Who converted, as hashes."""

    email_sha256: str | None = None
    phone_sha256: str | None = None


def read_user(members: Members | None, default_country: str | None) -> User:
    """The usable identifiers; a plain one that is not usable is left out with a warning: shoppers mistype."""
    if members is None:
        return User()
    country = members.take("country", fields.country) or default_country
    return User(
        email_sha256=_hash(members, "email", identity.email_sha256),
        phone_sha256=_hash(members, "phone", partial(identity.phone_sha256, country=country)),
    )


def _hash(members: Members, name: str, hash_of: Callable[[str], str | None]) -> str | None:
    """The hash of the plain form, else the hash that was given; where both are there they must be equal."""
    given = members.take(f"{name}_sha256", fields.sha256)
    plain = members.take(name, fields.string)
    if plain is None:
        return given
    hashed = hash_of(plain)
    if hashed is None:
        members.warn(f"{name}_unusable", name, _UNUSABLE[name])
        return given
    if given not in (None, hashed):
        members.refuse(f"{name}_sha256", "hash_mismatch", f"is not the hash of user.{name}, normalised as documented")
    return hashed
