"""What a filter list says of its licence, as SPDX.

    https://easylist.to/pages/licence.html    ->  GPL-3.0-or-later OR CC-BY-SA-3.0+
    GNU General Public License v3.0           ->  GPL-3.0-only
    CC BY-NC-SA 4.0                           ->  CC-BY-NC-SA-4.0
    see the file LICENSE                      ->  (cannot be told)

Known are the names, abbreviations and addresses of the licences that lists have, and the pages of a few projects (a
page that changed since is not noticed). A policy decides by this word, so what cannot be told for certain is "": a
guess would be a claim in somebody else's name. The owner can always say it: `--licence`.
"""

from __future__ import annotations

import re
from typing import Final

_PAGES: Final = {  # of projects whose lists link to a page instead of naming a licence
    "easylist.to/pages/licence.html": "GPL-3.0-or-later OR CC-BY-SA-3.0+",
    "github.com/ublockorigin/uassets/blob/master/license": "GPL-3.0-only",
    "raw.githubusercontent.com/ublockorigin/uassets/master/license": "GPL-3.0-only",
    "github.com/adguardteam/adguardfilters/blob/master/license": "GPL-3.0-only",
    "github.com/stevenblack/hosts/blob/master/license.txt": "MIT",
}
_CC: Final = re.compile(r"\bcc[ -]by((?:[ -](?:nc|nd|sa))*)[ -]v?([1-4]\.0)\b")
_CC_URL: Final = re.compile(r"creativecommons\.org/licenses/by((?:-(?:nc|nd|sa))*)/([1-4]\.0)\b")
_CC_WORDS: Final = (
    ("attribution", "by"),
    ("non-?commercial", "nc"),
    ("no-?deriv(?:s|atives)", "nd"),
    ("share-?alike", "sa"),
)
_GNU: Final = re.compile(
    r"\b(?P<kind>a|l)?gpl[ -]?(?:version ?|v)?(?P<number>2\.1|[23])(?:\.0)?"
    r"(?P<later>\+|[ -]or[ -](?:any )?later)?(?!\.?\d)"
)
_GNU_URL: Final = re.compile(
    r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?(?P<kind>a|l)?gpl-(?P<number>2\.1|[23])(?:\.0)?"
)
_OTHERS: Final = (
    (r"creativecommons\.org/publicdomain/zero/1\.0|\bcc0\b", "CC0-1.0"),
    (r"\bmpl[ -]?2(?:\.0)?\b|mozilla\.org/(?:en-us/)?mpl/2\.0|mozilla public license,? (?:version |v)?2\.0", "MPL-2.0"),
    (r"\bapache[ -](?:license,? )?(?:version |v)?2(?:\.0)?\b|apache\.org/licenses/license-2\.0", "Apache-2.0"),
    (r"opensource\.org/licenses?/mit\b|^(?:the )?mit(?: licen[cs]e)?\.?$", "MIT"),  # within a text it may be German
    (r"\bunlicense\b|unlicense\.org", "Unlicense"),
    (r"\bodbl[ -]1\.0\b|opendatacommons\.org/licenses/odbl/1", "ODbL-1.0"),
)


def spdx(said: str) -> str:
    """The SPDX expression for what a list says its licence is; "" if that cannot be told for certain.

    Two licences are joined only where the text says "or": whether both or either hold is not ours to guess.
    """
    text = " ".join(said.lower().split())
    page = re.sub(r"^https?://(?:www\.)?", "", text).rstrip("/ ")
    if page in _PAGES:
        return _PAGES[page]
    found = _named(_without_long_names(text))
    if len(found) == 1:
        return found[0]
    return " OR ".join(found) if len(found) == 2 and re.search(r"\bor\b(?! (?:any )?later)", text) else ""


def _named(text: str) -> list[str]:
    """Every licence named, each once, in the order of the text."""
    places: dict[str, int] = {}
    for match in (*_CC.finditer(text), *_CC_URL.finditer(text)):
        parts = sorted(re.split("[ -]", match[1].strip(" -"))) if match[1] else []
        if "nd" not in parts or "sa" not in parts:  # there is no such licence
            order = [part for part in ("nc", "nd", "sa") if part in parts]
            places.setdefault("-".join(["CC-BY", *(part.upper() for part in order), match[2]]), match.start())
    for gnu in (*_GNU.finditer(text), *_GNU_URL.finditer(text)):
        later = "later" in gnu.re.groupindex and gnu["later"]
        number = gnu["number"] if "." in gnu["number"] else gnu["number"] + ".0"
        name = f"{(gnu['kind'] or '').upper()}GPL-{number}-{'or-later' if later else 'only'}"
        places.setdefault(name, gnu.start())
    for pattern, name in _OTHERS:
        if other := re.search(pattern, text):
            places.setdefault(name, other.start())
    return sorted(places, key=lambda name: places[name])


def _without_long_names(text: str) -> str:
    """The names that people write out, in the letters that others write."""
    text = re.sub(
        r"gnu (affero |lesser |library )?(?:general public|gpl) licen[cs]e,? ?", lambda m: f"{_letter(m[1])}gpl ", text
    )
    text = re.sub(r"\bgpl licen[cs]e,? ?|\bgnu (?=a?l?gpl)", lambda m: "gpl " if "licen" in m[0] else "", text)
    for word, short in _CC_WORDS:
        text = re.sub(rf"\b{word}\b", short, text)
    text = re.sub(r"creative commons,?(?: licen[cs]e)?,? (?=by\b)", "cc ", text)
    text = re.sub(
        r"\b(by(?:[ -](?:nc|nd|sa))*),? (?:international |unported )?(?:licen[cs]e,? )?(?:version )?(?=v?[1-4]\.0)",
        r"\1 ",
        text,
    )
    return re.sub(r"gpl (?:version |v)(?=[23])", "gpl ", text)


def _letter(word: str | None) -> str:
    return {"a": "a", "l": "l"}.get((word or " ")[0], "")
