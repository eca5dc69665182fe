"""Which requests of a capture to ask a person about, the most valuable first: pure, scored requests in, questions out.

    Scored ... --by domain, or by URL where a domain is not of one mind--> Question, in order

What makes an answer valuable: that the model is near its threshold, that the lists say otherwise than the model, that
nobody here knows the domain; and how much one answer settles, by its requests and by the sites that show it.

    value = (doubt + DISAGREES * disagrees + UNSEEN * is_unseen) * log2(1 + requests) * log2(1 + sites)

A domain is asked about as a whole if all its requests go to third parties and the model has them all on one side of
the threshold; else each URL on its own, for a domain that mixes cannot be settled by one key. What is judged or was
skipped is not asked again. It refuses to know files, keys and terminals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

from gossip.advisor.scored import Scored
from gossip.filterlists.judging import Target, target_of
from ledger.errors import LocalError

DISAGREES: Final = 0.5
UNSEEN: Final = 0.25
MAX_PAGES: Final = 3
MAX_KEPT: Final = 20_000  # URLs and domains that are ranked; a capture of a million requests has fewer domains

Decided = Callable[[str], bool]  # whether a URL's question is answered already


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to judge."""

    target: Target
    sample: Scored  # the one nearest to the threshold
    requests: int
    sites: int  # 1 where the capture has no pages
    pages: tuple[str, ...]  # some of them
    listed_by: tuple[str, ...]
    excepted_by: tuple[str, ...]
    p_ad: float  # means over its requests
    p_tracker: float
    p_block: float
    disagrees: bool  # lists and model
    is_unseen: bool
    value: float


def questions(
    rows: Iterable[Scored], threshold: float, *, decided: Decided, known: frozenset[str] = frozenset(),
    has_lists: bool = True,
) -> tuple[Question, ...]:  # fmt: skip
    """What is worth asking, most valuable first. `known`: domains that own data hold; without any, none is unseen.
    Without lists nothing disagrees with them. Ties: by name."""
    by_domain: dict[str, list[Scored]] = defaultdict(list)
    for row in rows:
        if not decided(row.seen.url):
            by_domain[row.seen.domain].append(row)
    found: list[Question] = []
    for domain, group in by_domain.items():
        whole = _target(domain) if _of_one_mind(group) else None
        for target, part in [(whole, group)] if whole is not None else _by_url(group):
            is_unseen, disagrees = bool(known) and domain not in known, has_lists and _disagrees(part)
            found.append(_question(target, part, threshold, is_unseen, disagrees))
    found.sort(key=lambda one: (-one.value, one.target.text))
    return tuple(found[:MAX_KEPT])


def _of_one_mind(group: Sequence[Scored]) -> bool:
    return len({row.block for row in group}) == 1 and all(row.seen.party for row in group)


def _by_url(group: Sequence[Scored]) -> list[tuple[Target, list[Scored]]]:
    parts: dict[str, tuple[Target, list[Scored]]] = {}
    for row in group:
        target = _target(row.seen.url)
        if target is not None:
            parts.setdefault(target.text, (target, []))[1].append(row)
    return list(parts.values())


def _target(text: str) -> Target | None:
    """None for what cannot be judged: an address as a domain, a suffix that belongs to many."""
    try:
        return target_of(text)
    except LocalError:
        return None


def doubt(p_block: float, threshold: float) -> float:
    """1 at the threshold, 0 where the model is sure."""
    room = threshold if p_block < threshold else 1 - threshold
    return max(0.0, 1 - abs(p_block - threshold) / max(room, 1e-9))


def _disagrees(group: Sequence[Scored]) -> bool:
    return any(bool(row.listed_by) != row.block for row in group)


def _question(target: Target, group: Sequence[Scored], threshold: float, is_unseen: bool, disagrees: bool) -> Question:
    count = len(group)
    sites = {row.seen.site for row in group} - {""}
    listed = tuple(sorted({name for row in group for name in row.listed_by}))
    excepted = tuple(sorted({name for row in group for name in row.excepted_by}))
    sample = min(group, key=lambda row: (abs(row.p_block - threshold), row.seen.url))
    p_block = sum(row.p_block for row in group) / count
    worth = doubt(sample.p_block, threshold) + DISAGREES * disagrees + UNSEEN * is_unseen
    return Question(
        target=target, sample=sample, requests=count, sites=max(1, len(sites)),
        pages=tuple(dict.fromkeys(row.seen.page for row in group if row.seen.page))[:MAX_PAGES], listed_by=listed,
        excepted_by=excepted, p_ad=sum(row.p_ad for row in group) / count,
        p_tracker=sum(row.p_tracker for row in group) / count, p_block=p_block, disagrees=disagrees,
        is_unseen=is_unseen, value=worth * log2(1 + count) * log2(1 + max(1, len(sites))),
    )  # fmt: skip
