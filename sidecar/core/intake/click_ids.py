"""Microsoft's click id (`msclkid`): its canonical form, and where it is found in the address of a landing page."""

import re
from urllib.parse import unquote_plus

from sidecar.core.intake.invisible_characters import without_invisible

_CLICK_ID = re.compile(
    r"""
    (?:_uet)?                                                   # the cookie _uetmsclkid
    ([0-9A-Fa-f]{32} | [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})
    (?: -[01]N? | [01]?N )?                                     # a UET beacon: which cookies the browser took
    """,
    re.VERBOSE,
)
"""https://learn.microsoft.com/advertising/msa-help/hlp_ba_conc_uet_faq"""

_PARAMETER = re.compile(r"[?&]msclkid=([^&?#]+)", re.IGNORECASE)
"""In any case, since some shops change the case of parameters; behind a second ? as well, where parameters were
appended to an address that had some."""

_AMPERSAND = re.compile(r"&(?:(?:amp|#0{0,5}38|#x0{0,5}26);)+", re.IGNORECASE)
"""An & of an address that came through HTML, once or several times."""


def normalise(text: str) -> str | None:
    """The 32 hex digits in a raw, dashed, cookie or beacon form of a click id, in their own case; None if it is none.

    The version bits of a UUID are not checked: real click ids have any.
    """
    found = _CLICK_ID.fullmatch(text.strip() if text.isascii() else without_invisible(text).strip())
    return found[1].replace("-", "") if found else None


def find_in_url(url: str) -> str | None:
    """The last usable click id among the URL's `msclkid` parameters; None when there is none.

    The fragment does not count: Microsoft puts the parameter before it.
    https://help.ads.microsoft.com/apex/index/3/en/60125

    Where there is none as it stands, the URL is searched once more decoded: it may be inside that of another address.
    `msclkid.js` reads addresses alike; tests/samples/landing_addresses.json is the table of both.
    """
    address = _AMPERSAND.sub("&", url).partition("#")[0]
    return _last_usable(address) or _last_usable(_AMPERSAND.sub("&", unquote_plus(address)))


def _last_usable(text: str) -> str | None:
    values = [unquote_plus(value) for value in _PARAMETER.findall(text)]
    return next(filter(None, map(normalise, reversed(values))), None)
