"""Reads the `user` of a request: e-mail and phone are hashed here, at the door, and go no further in plain."""

from collections.abc import Callable
from typing import NamedTuple

from sidecar.core.intake import countries, fields, identity, normalising
from sidecar.core.intake.members import Members, Shape

SHAPE = Shape("user.", frozenset({"email", "phone", "email_sha256", "phone_sha256", "country"}))

_UNUSABLE: dict[str, Callable[[str, str | None], str]] = {
    "email": lambda text, country: normalising.why_no_email(text),
    "phone": normalising.why_no_phone,
}
"""Why a plain identifier cannot be used, in words."""

ROLES = frozenset(
    """
    admin billing contact donotreply enquiries hello help helpdesk hr info inquiries jobs kontakt mail mailer-daemon
    marketing newsletter no-reply no_reply noreply office orders postmaster sales service support team webmaster
    """.split()  # noqa: SIM905 - a list to read and to add to
)
"""What stands before the @ of a mailbox that many share, once dots are removed; few enough to be sure of each."""

SHARED = "is a mailbox that many share, such as info@, and rarely matches one person"


class User(NamedTuple):
    """Who converted, as hashes."""

    email_sha256: str | None = None
    phone_sha256: str | None = None


def read_user(members: Members | None, default_country: str | None) -> User:
    """The usable identifiers; a plain one that is not usable is left out with a warning: shoppers mistype."""
    if members is None:
        return User()
    country = read_country(members) or default_country
    return User(
        email_sha256=_hash(members, "email", _email_sha256, country),
        phone_sha256=_hash(members, "phone", _phone_sha256, country),
    )


def read_country(members: Members) -> str | None:
    """The code of the country that is named. One that cannot be used is left out with a warning: it is a mere hint."""
    given = members.take("country", fields.any_length)
    if given is None:
        return None
    country = countries.country(given)
    if country is None:
        members.warn("country_unusable", "country", "is no country code of ISO 3166, such as US or GB; it was left out")
    return country


def _phone_sha256(members: Members, text: str, country: str | None) -> str | None:
    return identity.phone_sha256(text, country)


def _email_sha256(members: Members, text: str, country: str | None) -> str | None:
    """The hash of the address; a warning where it is a mailbox that many share."""
    normalised = identity.email(text)
    if normalised is None:
        return identity.given_sha256(text)
    if is_role(normalised):
        members.warn("email_role_address", "email", SHARED)
    return identity.sha256(normalised)


def is_role(normalised: str) -> bool:
    """Whether a normalised address is that of a role, not of a person."""
    return normalised.partition("@")[0] in ROLES


_HashOf = Callable[[Members, str, str | None], str | None]


def _hash(members: Members, name: str, hash_of: _HashOf, country: str | None) -> str | None:
    """The hash of the plain form, else the hash that was given; where both are there they must be equal."""
    given = members.take(f"{name}_sha256", fields.sha256)
    plain = members.take(name, fields.any_length)
    if plain is None:
        return given
    if len(plain) > identity.LONGEST_INPUT:
        members.warn(f"{name}_unusable", name, f"is longer than {identity.LONGEST_INPUT} characters; it was left out")
        return given
    hashed = hash_of(members, plain, country)
    if hashed is None:
        members.warn(f"{name}_unusable", name, f"{_UNUSABLE[name](plain, country)}; it was left out")
        return given
    if given not in (None, hashed):
        members.refuse(f"{name}_sha256", "hash_mismatch", f"is not the hash of user.{name}, normalised as documented")
    return hashed


# --- For /v1/validate ------------------------------------------------------------------------------------------------


def steps_of(user: object, default_country: str | None) -> dict[str, normalising.Steps | None]:
    """What each step makes of the plain e-mail and phone in the `user` of an item; None where there is none."""
    given = user if isinstance(user, dict) else {}
    email, phone, country = given.get("email"), given.get("phone"), given.get("country")
    country = (countries.country(country) if isinstance(country, str) else None) or default_country
    return {
        "email": normalising.email_steps(email) if isinstance(email, str) else None,
        "phone": normalising.phone_steps(phone, country) if isinstance(phone, str) else None,
    }
