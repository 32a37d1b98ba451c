"""Reads the `user` of a request: e-mail and phone are hashed here, at the door, and go no further in plain."""

from collections.abc import Callable

from msgspec import Struct

from sidecar.core.intake import countries, emails, fields, phones
from sidecar.core.intake.hashing import (
    LONGEST_INPUT,
    Steps,
    email_steps,
    given_sha256,
    phone_sha256,
    phone_steps,
    sha256,
)
from sidecar.core.intake.json_object import JsonObject, Shape

SHAPE = Shape("user.", frozenset({"email", "phone", "email_sha256", "phone_sha256", "country"}))

_WHY_UNUSABLE: dict[str, Callable[[str, str | None], str]] = {
    "email": lambda text, country: emails.why_unusable(text),
    "phone": phones.why_unusable,
}


_HashOf = Callable[[JsonObject, str, str | None], str | None]


class User(Struct, frozen=True, gc=False):
    """Who converted, as hashes."""

    email_sha256: str | None = None
    phone_sha256: str | None = None


def read_user(members: JsonObject | None, default_country: str | None) -> User:
    """The usable identifiers; a plain one that is not usable is left out with a warning: shoppers mistype."""
    if members is None:
        return User()
    country = read_country(members) or default_country
    return User(
        _hash(members, "email", "email_sha256", _email_sha256, country),
        _hash(members, "phone", "phone_sha256", _phone_sha256, country),
    )


def read_country(members: JsonObject) -> str | None:
    """The code of the country that is named. One that cannot be used is left out with a warning: it is a mere hint."""
    text = members.take("country", fields.any_length)
    if text is None:
        return None
    country = countries.country(text)
    if country is None:
        members.warn("country_unusable", "country", "is no country code of ISO 3166, such as US or GB; it was left out")
    return country


def _email_sha256(members: JsonObject, text: str, _: str | None) -> str | None:
    """The hash of the address; a warning where it is a mailbox that many share."""
    normalised = emails.normalise(text)
    if normalised is None:
        return given_sha256(text)
    if emails.is_role(normalised):
        members.warn("email_role_address", "email", emails.SHARED)
    return sha256(normalised)


def _phone_sha256(_: JsonObject, text: str, country: str | None) -> str | None:
    return phone_sha256(text, country)


def _hash(members: JsonObject, name: str, given: str, hash_of: _HashOf, country: str | None) -> str | None:
    """The hash of the plain form in `name`, else the one in `given`; where both are there they must be equal."""
    hashed = members.take(given, fields.sha256)
    plain = members.take(name, fields.any_length)
    if plain is None:
        return hashed
    if len(plain) > LONGEST_INPUT:
        members.warn(f"{name}_unusable", name, f"is longer than {LONGEST_INPUT} characters; it was left out")
        return hashed
    made = hash_of(members, plain, country)
    if made is None:
        members.warn(f"{name}_unusable", name, f"{_WHY_UNUSABLE[name](plain, country)}; it was left out")
        return hashed
    if hashed not in (None, made):
        members.refuse(given, "hash_mismatch", f"is not the hash of user.{name}, normalised as documented")
    return made


def steps_of(user: object, default_country: str | None) -> dict[str, Steps | None]:
    """Each step of the plain e-mail and phone in the `user` of an item; None where there is none."""
    given = user if isinstance(user, dict) else {}
    email, phone, country = given.get("email"), given.get("phone"), given.get("country")
    country = (countries.country(country) if isinstance(country, str) else None) or default_country
    return {
        "email": email_steps(email) if isinstance(email, str) else None,
        "phone": phone_steps(phone, country) if isinstance(phone, str) else None,
    }
