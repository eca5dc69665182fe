"""The members of a swarm as people and programs see them: read, named, and printed; the same facts in both.

    bundle --rules--> rows (ledger/roster.py) --\
    store --what a node reads--> rows ------------> Roster --> lines | JSON
    node --members--> rows, links, keys, codes ---/

A peer's own name proves nothing: two may have one, and somebody may call itself by another's words. So who is named in
a way that fits several is refused with all of them, and a whole id or key means that peer alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cli import moments, render
from cli.plain import name as plain_name
from cli.plain import plain
from gossip import ids
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError
from ledger.keys import words
from ledger.report import Finding
from ledger.roster import Row, roster

NAME_CHARS: Final = 16
PREFIX: Final = 8  # hex digits of an id that mean it, at least


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody, and who of them is here now."""

    swarm: Hash
    threshold: int  # of how many admins it takes to put somebody out
    rows: tuple[Row, ...]
    own: PeerId = ""  # of a bundle: nobody
    node: Mapping[str, Any] | None = None  # what the node says of links, keys and codes; None: nobody was asked
    findings: tuple[Finding, ...] = ()  # of a bundle

    def name(self, peer: PeerId) -> str:
        """What a peer calls itself, cleaned."""
        return next((plain_name(row.name, NAME_CHARS) for row in self.rows if row.peer == peer), peer[:PREFIX])

    @property
    def is_running(self) -> bool:
        return self.node is not None and "members" in self.node

    def linked(self) -> frozenset[PeerId]:
        """Who has a link with this machine's node now."""
        said = self.node.get("members", ()) if self.node is not None else ()
        return frozenset(str(one.get("peer")) for one in said if one.get("online") and not one.get("own"))

    def own_row(self) -> Row | None:
        return next((row for row in self.rows if row.peer == self.own), None)


def read(source: str | None) -> Roster:
    """All that a bundle, a directory or a swarm of that name holds about members. LocalError if there is none."""
    from cli import sources

    place = sources.place_of(source)
    return of_peer(place) if place is not None else _of_bundle(source)


def _of_bundle(source: str | None) -> Roster:
    from cli.opened import ruled

    with ruled(source) as found:
        if not found.replica.has_genesis:
            found.require_whole()
        replica = found.replica
        rows = tuple(roster(replica, int(time.time())))
        return Roster(replica.swarm, replica.genesis.threshold, rows, findings=found.report.findings)


def of_peer(place: Path) -> Roster:
    """What a peer knows: its node says so at once; where none runs, its store is read as a node would read it."""
    from cli import control
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        own, swarm, founder = (store.meta(name).decode() for name in ("self", "swarm", "founder"))
        answer = control.ask(place, "members")
        if answer is not None:
            rows = tuple(msgspec.convert(row, Row) for row in answer["roster"])
            return Roster(swarm, int(answer["threshold"]), rows, own, answer)
        from gossip.invites import is_open
        from gossip.merging.arithmetic import NumpyArithmetic
        from gossip.peer.book import restore

        replica = restore(swarm, founder, store.history(), store.blob, NumpyArithmetic(), store.base()).replica
        if not replica.has_genesis:
            raise LocalError(
                "the swarm's first entry is not here yet", next_step="start the peer and let it connect: gossip run"
            )
        allowed = [
            {"key": one.key.hex(), "role": one.role, "expires": one.expires, "source": "store"}
            for one in store.allowed()
        ]
        kept = {"allowed": allowed, "open": is_open(store)}
        return Roster(swarm, replica.genesis.threshold, tuple(roster(replica, int(time.time()))), own, kept)


# ------------------------------------------------------------------ naming one


def find(found: Roster, wanted: str) -> Row:
    """The one peer that was meant: by its id or a key, whole, or by words, name or the first digits of its id."""
    if ids.is_one(wanted):
        value, kind = ids.read_either(wanted)
        for row in found.rows:
            if (kind != "key" and value == row.peer) or (kind != "peer" and value in (row.key, row.enrol_key)):
                return row
        raise LocalError(
            f"no peer here has the {ids.CALLED[kind] if kind else 'id or key'} {value[:12]}...",
            next_step="see who there is: gossip members list",
        )
    called = plain_name(wanted, NAME_CHARS)
    low = wanted.strip().lower()
    matches = [
        row
        for row in found.rows
        if low == words(row.peer)
        or plain_name(row.name, NAME_CHARS) == called
        or (len(low) >= PREFIX and row.peer.startswith(low))
    ]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise LocalError(f"no peer {plain(wanted, 40)!r} here", next_step="see who there is: gossip members list")
    raise LocalError(
        f"{plain(wanted, 40)!r} may mean {len(matches)} peers",
        why=", ".join(f"{plain_name(row.name, NAME_CHARS)} {row.peer[:12]} ({words(row.peer)})" for row in matches),
        next_step="name one by its whole id: gossip members list --json",
    )


# ------------------------------------------------------------------ facts, and lines that say the same


def facts(found: Roster) -> dict[str, Any]:
    """What `members list` says, as one document."""
    node = found.node or {}
    return {
        "swarm": found.swarm,
        "threshold": found.threshold,
        "members": [row_facts(found, row) for row in found.rows],
        "allowed": [dict(one) for one in node.get("allowed", ())],
        "codes": [dict(one) for one in node.get("codes", ())],
        "open": bool(node.get("open")),
    }


def row_facts(found: Roster, row: Row) -> dict[str, Any]:
    return {
        "peer": row.peer,
        "checked": ids.checked(row.peer, "peer"),
        "words": words(row.peer),
        "name": plain_name(row.name, NAME_CHARS),
        "key": row.key,
        "role": row.role,
        "state": row.state,
        "own": row.peer == found.own,
        "link": row.peer in found.linked() if found.is_running else None,
        "since": row.since,
        "let_in": [
            {"by": one.by, "name": found.name(one.by), "seq": one.seq, "time": one.time, "role": one.role,
             "expires": one.expires}
            for one in row.let_in
        ],
        "expires": row.expires,
        "house": row.house,
        "house_name": found.name(row.house) if row.house else "",
        "entries": row.size,
        "revoked_from": row.revoked_from,
        "wants_out": [
            {"by": one.by, "name": found.name(one.by) if one.by else one.key[:PREFIX], "since": one.since}
            for one in row.wants_out
        ],
        "missing": row.missing,
    }  # fmt: skip


def show(found: Roster) -> None:
    """The same for people: two lines a peer, 80 columns wide."""
    said = facts(found)
    wide = max((len(one["name"]) for one in said["members"]), default=0)
    for one in said["members"]:
        marks = [mark for mark, holds in (("this peer", one["own"]), ("link now", one["link"])) if holds]
        render.say(f"{one['name']:<{wide}}  {one['role'] or '-':<8}  {_standing(one)}".rstrip())
        render.say(f"{'':{wide}}  {one['peer'][:PREFIX]}  {one['words']}{''.join(f', {mark}' for mark in marks)}")
    holders = {key: row for row in found.rows for key in (row.key, row.enrol_key)}
    now = time.time()
    for one in said["allowed"]:
        if 0 < int(one["expires"]) <= now:
            continue  # nobody enters by it any more
        row = holders.get(str(one["key"]))
        if row is not None and row.let_in:
            who = f"{plain_name(row.name, NAME_CHARS)} {row.peer[:PREFIX]}"
            render.say(f"Came in:   {who}, by its key {str(one['key'])[:PREFIX]}...")
            continue
        until = f" until {moments.end(int(one['expires']))}" if one["expires"] else ""
        where = ", by the allowlist file" if one.get("source") == "file" else ""
        render.say(f"May enter: {ids.checked(str(one['key']), 'key')}")
        render.say(f"           as {plain(one['role'])}{until}{where}")
    for one in said["codes"]:
        left = int(one["uses"]) - int(one["given"])
        tries = int(one["tries"])
        render.say(
            f"Code {int(one['number'])}: open for {render.many(left, 'peer')} until "
            f"{render.moment(int(one['expires']))}, {tries} wrong {'try' if tries == 1 else 'tries'} left"
        )
    if said["threshold"] > 1:
        render.say(f"It takes {said['threshold']} admins to put somebody out, or to change the policy.")
    if said["open"]:
        render.say("Open: anybody near who asks for the swarm by its name may enter while this peer runs.")


def _standing(one: Mapping[str, Any]) -> str:
    """How somebody came in, and what has become of it."""
    if one["state"] == "waiting":
        return "waiting: has enrolled, and nobody has let it in"
    first = one["let_in"][0]
    day = render.moment(int(first["time"]))[:10]
    if first["by"] == one["peer"]:
        text = f"founded the swarm {day}"
    elif one["house"] == first["by"]:
        text = f"guest of {first['name']} since {day}"
    else:
        text = f"let in by {first['name']} {day}"
    if one["state"] == "revoked":
        return f"revoked from entry {one['revoked_from']} on, by {_all(one)}; {text}"
    if one["expires"]:
        text += f", {'until' if one['state'] == 'member' else 'expired'} {moments.end(int(one['expires']))}"
    if one["missing"]:
        text += f"; {_all(one)} wants it out, {render.many(one['missing'], 'admin')} more must say so"
    return text


def _all(one: Mapping[str, Any]) -> str:
    return ", ".join(sorted(word["name"] for word in one["wants_out"]))
