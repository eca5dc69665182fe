"""Memberships that the owner of a running node, an admin, wants renewed or taken away.

    {"command": "revoke", "peer": "5d1c...", "since": 31}  --Revoking--> machine --Append, KeepCheckpoint-->
    {"seq": 40, "peer": "5d1c...", "since": 31, "missing": 1}       missing: admins who have not said the same yet

    {"command": "renew", "peer": "5d1c...", "role": "trainer", "expires": 1800000000}  --Admit-->
    {"seq": 41, "peer": "5d1c...", "role": "trainer", "expires": 1800000000}

`peer` is a peer's id or a key that it has had. What nobody would take never becomes an entry, and the person hears why.
Who is in and who is out the ledger says (ledger/membership.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from gossip import events as ev
from gossip.node.written import Written
from gossip.peer.lawmaking import why_no_renewal, why_no_revocation
from ledger.chain import MAX_LOG_SIZE, peer_of
from ledger.entry import Member, PeerId, Revoke, Role
from ledger.errors import LocalError
from ledger.replica import Replica


def find_peer(replica: Replica, said: object) -> PeerId:
    """The peer that goes by this id or key. LocalError if nobody does."""
    if isinstance(said, str) and replica.enrolled(said):
        return peer_of(said)
    for log in sorted(replica.heads()):
        if replica.enrolled(log) and any(key.hex() == said for key in replica.keys_of(log)):
            return peer_of(log)
    raise LocalError("nobody here goes by that id or key", next_step="see who does with: gossip members list")


def wanted_revocation(replica: Replica, own: PeerId, request: Mapping[str, Any]) -> ev.Revoking:
    """The wish, if it may come to something. Without `since` all that this peer holds of that log goes on counting."""
    peer, since = find_peer(replica, request.get("peer")), request.get("since")
    if since is None:
        since = replica.size(peer)
    if type(since) is not int or not 0 <= since <= MAX_LOG_SIZE:
        raise LocalError(f"{since!r} is no index of an entry", next_step="see them with: gossip ledger log")
    wish = ev.Revoking(peer, since)
    if why := why_no_revocation(replica, own, wish):
        raise LocalError("nothing was written", why=why)
    return wish


def wanted_renewal(replica: Replica, own: PeerId, request: Mapping[str, Any]) -> ev.Admit:
    """The wish, if it says anything new. Without `role` it stays what it is."""
    peer, role, expires = find_peer(replica, request.get("peer")), request.get("role"), request.get("expires", 0)
    if not role:
        role = replica.role_of(peer)
    if role and role not in get_args(Role):
        raise LocalError(f"there is no role {str(role)[:20]!r}", next_step=f"use one of: {', '.join(get_args(Role))}")
    if type(expires) is not int or not 0 <= expires < 1 << 53:
        raise LocalError(f"{expires!r} is no time", why="Unix seconds, or 0 for never")
    if replica.role_of(own) != "admin":
        raise LocalError("nothing was written", why="only an admin of this swarm can renew a membership")
    wish = ev.Admit(peer, cast(Role, role), expires)
    if why := why_no_renewal(replica, wish):
        raise LocalError("nothing was written", why=why)
    return wish


def revocation_standing(replica: Replica, own: PeerId, seq: int) -> dict[str, Any]:
    """What an own revoke entry says, and how many more admins have to say the same."""
    entry = replica.entry(own, seq)
    assert isinstance(entry, Revoke)
    said = len({word.admin for word in replica.words(entry.peer)})
    return {"peer": entry.peer, "since": entry.since, "missing": max(0, replica.genesis.threshold - said)}


async def ask_for_seat(
    written: Written, replica: Replica, own: PeerId, command: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Have it written. `seq` is None if the machine has not done so yet."""
    if command == "revoke":
        revoking = wanted_revocation(replica, own, request)
        seq = await written.wait_for(revoking, f"revoke {revoking.peer}", what="this revocation")
        return {"seq": seq, **({"peer": revoking.peer} if seq is None else revocation_standing(replica, own, seq))}
    renewal = wanted_renewal(replica, own, request)
    seq = await written.wait_for(renewal, f"member {renewal.peer}", what="this renewal")
    entry = replica.entry(own, seq) if seq is not None else None
    said = {"role": entry.role, "expires": entry.expires} if isinstance(entry, Member) else {}
    return {"seq": seq, "peer": renewal.peer, **said}
