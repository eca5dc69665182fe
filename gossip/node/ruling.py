"""A policy that the owner of a running node, an admin, wants in force, on its way into the own log.

    {"command": "policy", "text": "policy = 1\\n..."}  --NewPolicy--> machine --Append, KeepCheckpoint-->
    {"seq": 31, "number": 2, "hash": "5d1c...", "missing": 1}        missing: admins who have not said the same yet

It is read before it is written: a text that no peer would take never becomes an entry. It decides nothing else; from
when on a policy counts, the ledger says (ledger/in_force.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gossip import events as ev
from gossip.node.written import Written
from ledger.entry import PeerId, PolicyChange
from ledger.errors import LocalError
from ledger.policy import Policy
from ledger.replica import Replica


def wanted_policy(replica: Replica, own: PeerId, text: str) -> Policy:
    """The policy, if this peer may ask for it and does not have it. LocalError names the line, or why not."""
    policy = Policy.parse(text)
    if not replica.enrolled(own) or replica.enrol_key_of(own).hex() not in replica.genesis.admins:
        raise LocalError(
            "this peer is no admin of the swarm", why="its genesis names them by the keys that they enrolled with",
            next_step="ask one of them to set the policy",
        )  # fmt: skip
    if policy.hash == replica.policy_now().hash:
        raise LocalError("this very policy is in force already", next_step="see it with: gossip policy show")
    return policy


async def ask_for(written: Written, replica: Replica, own: PeerId, request: Mapping[str, Any]) -> dict[str, Any]:
    """Have it written. `seq` is None if the machine has not done so yet."""
    text = request.get("text")
    if not isinstance(text, str):
        raise LocalError("this is no policy", next_step="use: gossip policy set FILE")
    policy = wanted_policy(replica, own, text)
    data = text.encode()
    seq = await written.wait(ev.NewPolicy(data), data, what="this policy")
    return {"seq": seq, "hash": policy.hash, **({} if seq is None else standing_of(replica, own, seq))}


def standing_of(replica: Replica, own: PeerId, seq: int) -> dict[str, int]:
    """The number of an own policy entry, and how many more admins have to say the same."""
    entry = replica.entry(own, seq)
    assert isinstance(entry, PolicyChange)
    said = replica.admins_for((entry.number, entry.policy))
    return {"number": entry.number, "missing": max(0, replica.genesis.threshold - said)}
