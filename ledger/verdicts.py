"""What a verdict must satisfy: its author may judge, and what it judges is there.

    verdict of anna    judgement: bert, entries [31, 34], leaf {...} of entry 34, "condemned", why
                                  `-- another peer   `-- updates let in or left out   `-- on a branch that anna has seen

Why it exists: whoever reads a verdict later, an auditor or a peer that counts votes (condemned.py), must find the very
entries that it was about, whatever branches of that log come up.

Rules kept here, all of them of the verdict's own past: a member of any role judges, never itself; a peer that it has
seen enrol; entries that it has seen, named by number and, for the branch, by the leaf hash of the last of them (the
hash that the log's tree holds: so everybody can check it without looking up bytes). Whether an entry is an update or a
data entry is not asked: a judgement of anything else changes nothing.

It refuses to know whether a judgement is fair: it is an opinion, and its reasons are on record.
"""

from __future__ import annotations

from ledger.chain import InvalidEntry, Log, Tip
from ledger.charter import branches_of
from ledger.entry import Judgement, Verdict
from ledger.tail import NeedsHistory


def check_verdict(tip: Tip, own: Log, entry: Verdict) -> None:
    """InvalidEntry if the entry may not stand. NeedsHistory if that depends on what is not held."""
    branches = branches_of(tip, own)
    for judgement in entry.judgements:
        why = _wrong(tip, branches, judgement)
        if why:
            raise InvalidEntry(tip.log, tip.size, "verdict", why)


def _wrong(tip: Tip, branches: list[tuple[Log, int]], judgement: Judgement) -> str:
    if judgement.peer == tip.peer:
        return "judges its own author"
    last, leaf = judgement.seqs[-1], bytes.fromhex(judgement.hash)
    enrolled, missing = False, None
    for log, size in branches:
        if log.peer != judgement.peer:
            continue
        enrolled = enrolled or bool(log.keys)
        try:
            if last < size and log.tree.leaf(last) == leaf:
                return ""
        except NeedsHistory as error:
            missing = error
    if missing is not None:
        raise missing
    if not enrolled:
        return "judges a peer that its author has not seen enrol"
    return f"judges entry {last} of log {judgement.peer[:12]}, and no branch that it has seen has that entry there"
