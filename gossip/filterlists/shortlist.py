"""Of many rules, the few that may match one request; what does not come up here certainly does not match.

    ||ads.example^$image   may match requests to ads.example and below         by the host
    /banner.js             may match addresses with the word banner            by a word, the rarest among all rules
    /^https?:/$domain=a.test   may match requests of pages of a.test           by the page
    /[0-9]{9}x/            may match any                                       always: told apart, few

Why it exists: an engine says that a request is blocked and names one rule; who counts what each rule does needs all of
them. These few are then tried one by one (trial.py), so that the engine decides and this file only saves time. Kept
here: a word counts only if the pattern shows where it begins and ends, and no rule comes up whose longest text without
wildcards is not in the address. Pure.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from gossip.filterlists.meaning import Meaning
from gossip.filterlists.split import host_of

_WORD: Final = re.compile(r"[a-z0-9]+")
_PLAIN: Final = re.compile(r"[a-z0-9_.-]+")


class Shortlist:
    """Over rules, known by their place."""

    def __init__(self, meanings: Sequence[Meaning]) -> None:
        words = [_words(each) for each in meanings]
        common = Counter(word for found in words for word in found)
        self._host: dict[str, list[int]] = defaultdict(list)
        self._word: dict[str, list[int]] = defaultdict(list)
        self._page: dict[str, list[int]] = defaultdict(list)
        self._needles = ["" if each.is_regex else _needle(each.pattern) for each in meanings]
        self.always: list[int] = []  # may match any request: `of` leaves them out
        for index, (each, found) in enumerate(zip(meanings, words, strict=True)):
            if each.start == "||" and _PLAIN.fullmatch(each.host):
                self._host[each.host].append(index)
            elif found:
                self._word[min(found, key=lambda word: (common[word], -len(word), word))].append(index)
            elif each.wanted and all(_PLAIN.fullmatch(name) for name in each.wanted):
                for name in each.wanted:
                    self._page[name].append(index)
            else:
                self.always.append(index)

    def of(self, page: str, url: str) -> list[int]:
        """Those that may match this request, but for `always`; in order, each once."""
        lowered = url.lower()
        found: set[int] = set()
        for table, name in ((self._host, host_of(lowered)), (self._page, host_of(page.lower()))):
            while name:
                found.update(table.get(name, ()))
                name = name.partition(".")[2]
        for word in set(_WORD.findall(lowered)):
            found.update(self._word.get(word, ()))
        return sorted(index for index in found if self._needles[index] in lowered)


def _needle(pattern: str) -> str:
    """The longest text that every address it matches has somewhere; "" if letters in it are written otherwise there."""
    return "" if not pattern.isascii() else max(re.split(r"[*^]", pattern.lower()), key=len)


def _words(each: Meaning) -> list[str]:
    """The words that every address it matches must have, whole."""
    if each.is_regex:
        return []
    text = each.pattern.lower()
    return list(_bounded(text, begins=bool(each.start), ends=bool(each.end)))


def _bounded(text: str, *, begins: bool, ends: bool) -> Iterator[str]:
    for found in _WORD.finditer(text):
        left = begins if found.start() == 0 else text[found.start() - 1] != "*"
        right = ends if found.end() == len(text) else text[found.end()] != "*"
        if left and right:
            yield found[0]
