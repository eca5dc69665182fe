"""Which policy is in force in a past, and how it is changed.

    anna, admin   policy number 1, text 5d1c...  \\
    bert, admin   policy number 1, text 5d1c...   >  threshold 2: number 1, 5d1c... holds where both are in the past
    cleo, admin   policy number 1, text 91e0...  /

Why it exists: a policy that nobody can change is wrong after a month, and one that changes with the clock, or with who
heard what first, would make peers fold different models. So each update is ruled on by what *its own past* says.

Rules kept here: of what at least `threshold` admins of genesis have said, the highest number counts, then the lowest
hash; nothing said, or not by enough, and it is that of genesis, with number 0. Admins are told by the key of their
enrolment, each once, however often they say it. A change is numbered one above the policy in force in its past: so who
agrees with a change that is not in force yet says the same number, and who has seen it in force the next one. What was
said stays said, also on a branch of a log that was signed twice.

It refuses to know what policies mean (policy.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ledger.chain import InvalidEntry, Log, Said, Tip, Wish, hear
from ledger.charter import Charter, Outcome
from ledger.entry import Genesis, PolicyChange
from ledger.errors import RemoteError
from ledger.policy import MAX_POLICY_BYTES, Policy


def in_force(genesis: Genesis, said: Said) -> Wish:
    """The number and hash of the policy that holds where this was said."""
    if not said:
        return 0, genesis.policy
    enough = [wish for wish, admins in said.items() if len(admins) >= genesis.threshold]
    highest = max((number for number, _ in enough), default=0)
    return min((wish for wish in enough if wish[0] == highest), default=(0, genesis.policy))


def policy_of(charter: Charter, tip: Tip) -> Policy:
    """The policy in force in a past."""
    return charter.policies[in_force(charter.require(), tip.said)[1]]


def said_in(logs: Iterable[tuple[Log, int]]) -> dict[Wish, set[str]]:
    """What was said in so many entries of these logs."""
    said: dict[Wish, set[str]] = {}
    for log, size in logs:
        for seq, number, policy in log.policies:
            if seq < size:
                said.setdefault((number, policy), set()).add(log.enrol_key.hex())
    return said


def check_change(charter: Charter, tip: Tip, own: Log, entry: PolicyChange) -> Outcome:
    """The rules of a policy entry, but for those of its text (`open_policy`)."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "policy", why)

    number, _ = in_force(charter.require(), tip.said)
    if entry.number != number + 1:
        raise wrong(f"has number {entry.number}, after number {number} comes {number + 1}")
    if entry.policy_bytes > MAX_POLICY_BYTES:
        raise wrong(f"no policy has {entry.policy_bytes} bytes")
    said = {(entry.number, entry.policy): {own.enrol_key.hex()}}
    return Outcome(hear(tip, said), blob=entry.policy)


def open_policy(tip: Tip, entry: PolicyChange, blob: bytes) -> Policy:
    """The policy that an entry names.

    RemoteError if `blob` is not the one named: the messenger's fault. InvalidEntry if it is, and no policy: the
    author's.
    """
    if sha256(blob).hexdigest() != entry.policy:
        raise RemoteError("a policy is not what its entry names", why=f"expected SHA-256 {entry.policy}")
    if len(blob) != entry.policy_bytes:
        why = f"says {entry.policy_bytes} bytes, its policy has {len(blob)}"
        raise InvalidEntry(tip.log, entry.seq, "policy", why)
    try:
        return Policy.from_blob(blob)
    except RemoteError as error:
        raise InvalidEntry(tip.log, entry.seq, "policy", str(error)) from None
