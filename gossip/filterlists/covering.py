"""Among many rules, one that covers a given one.

To compare each of 200,000 with all others would take a day, so a rule is looked for only where one that covers another
by `meaning.covers` can be:

    by host     ||ads.example/x   is held against rules for ads.example and example
    by text     /banner.js        is found by its longest word, banner, among the words of the other
    by pattern  rules that differ in their options alone

What is cut in the middle of a word (`dbanne`) is not found, so more may be needless than is said. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from gossip.filterlists.meaning import Meaning, covers

MAX_ALIKE: Final = 64  # of one host, word or pattern are looked at: google.com has hundreds
_WORD: Final = re.compile(r"[a-z0-9]{2,}")


class Covering:
    """Over rules, known by their place."""

    def __init__(self, meanings: Sequence[Meaning]) -> None:
        self._all = meanings
        self._by_host: dict[str, list[int]] = defaultdict(list)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._by_pattern: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for index, each in enumerate(meanings):
            places = [self._by_pattern[each.start, each.pattern, each.end]]
            if each.start == "||" and each.host:
                places.append(self._by_host[each.host])
            elif not each.start and not each.is_regex and (words := _WORD.findall(each.pattern)):
                places.append(self._by_word[max(words, key=len)])
            for place in places:
                if len(place) < MAX_ALIKE:
                    place.append(index)

    def wider(self, index: int) -> int | None:
        """The first that covers this one and does not ask the same; None if none was found."""
        own = self._all[index]
        found = (each for each in self._near(own) if each != index and self._all[each] != own)
        return min((each for each in found if covers(self._all[each], own)), default=None)

    def _near(self, own: Meaning) -> Iterator[int]:
        yield from self._by_pattern.get((own.start, own.pattern, own.end), ())
        if own.is_regex:
            return
        host = own.host
        while host:
            yield from self._by_host.get(host, ())
            host = host.partition(".")[2]
        for word in set(_WORD.findall(own.pattern.lower())):
            yield from self._by_word.get(word, ())
