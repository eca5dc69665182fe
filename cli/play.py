"""The demo: peers on this machine co-train on real requests, then an auditor recomputes their model.

The whole story, in order, each step a function below:

    split     the packaged table by site, unequally, with held-out sites that no peer has
    found     a swarm in DIR/peer1, an invitation that carries no address
    start     one process per peer: `gossip run`, `gossip join`; they find one another by mDNS on loopback
    watch     until the time is up, five times a second, through their control sockets
    drain     no new rounds; wait until all hold the same entries
    audit     export one ledger, verify it, replay it, each in a process of its own
    compare   what the stores hold, entry by entry, whatever the peers say of themselves

It trains nothing and folds nothing itself, and ends every process that it started.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cli import attendance, control, outcome, remembered, render, settings
from cli.children import Child, Children, own_program, sigterm_interrupts
from cli.finale import Cast, Peer, audit, compare, pooled_scores, start_pooled
from cli.screen import Screen
from ledger.errors import LinkError, LocalError

NAMES: Final = (
    "alder", "birch", "cedar", "elder", "fir", "hazel", "juniper", "larch", "maple", "oak", "pine", "rowan", "spruce",
    "thorn", "willow", "yew",
)  # fmt: skip
SLOW_DUTY: Final = 33  # percent of the time: three times slower
POLL_S: Final = 0.2
EARLY: Final = 2  # these start first, a core for each: four imports of JAX at once on two cores show nothing for long
HEAD_START_S: Final = 5.0
READY_WITHIN_S: Final = 60.0  # a busy machine imports JAX four times at once
DRAIN_WITHIN_S: Final = 25.0


def run(
    peers: int, seconds: float, seed: int, directory: Path | None,
    *, started: float, json: bool, plain: bool, picture: Path | None,
) -> int:  # fmt: skip
    """All of it. Returns the exit code."""
    place = _directory(directory)
    screen = Screen(quiet=json, plain=plain, started=started, picture=picture)
    screen.say("Nothing leaves this machine: the peers meet on the loopback interface alone.")
    try:
        with sigterm_interrupts(), Children() as children:
            cast = _prepare(place, peers, seed)
            result = _play(cast, children, screen, seconds)
    except KeyboardInterrupt:
        render.complain(f"interrupted: every peer was ended; what they had made is in {place}")
        raise
    if json:
        render.document(outcome.as_json(result))
    else:
        render.say()
        outcome.table(result)
        render.say()
        attendance.table(result.roll)
        for sentence in outcome.who(result):
            render.say(sentence)
        render.say()
        render.say(outcome.how_to_check(result))
        for line in outcome.last_lines(result):
            render.say(line)
    return result.exit_code


# ------------------------------------------------------------------ the cast


def _directory(wanted: Path | None) -> Path:
    if wanted is None:
        return settings.new_demo_directory()
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise LocalError(f"{wanted} is not empty", next_step="name a new folder with --dir, or leave --dir out")
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted.resolve()


def _prepare(place: Path, count: int, seed: int) -> Cast:
    """Split the table, found the swarm, write an invitation without addresses."""
    from cli.model import read_declaration
    from gossip.filterlists.split import write_demo
    from gossip.setup import create_swarm, make_ticket

    share = write_demo(place / "data", peers=count, seed=seed)
    slow = count // 2 if count > 2 else 0  # neither the largest share nor the smallest, where there is a choice
    peers = tuple(
        Peer(NAMES[i], place / f"peer{i + 1}", path, rows, slow=i == slow) for i, (path, rows) in enumerate(share.peers)
    )
    text, task = read_declaration(None, "filterlist")
    created = create_swarm(
        peers[0].directory, name="demo", task=task, model_text=text, peer_name=peers[0].name, seed=seed
    )
    ticket = make_ticket(peers[0].directory, uses=count - 1)
    model = place / "model.json"
    model.write_text(text, encoding="utf-8")
    return Cast(place, created.swarm, ticket.text, share.validation, model, peers)


# ------------------------------------------------------------------ the play


def _play(cast: Cast, children: Children, screen: Screen, seconds: float) -> outcome.Outcome:
    pooled: Child | None = None
    with screen:
        _start(cast, cast.peers[:EARLY], children)
        until = time.monotonic() + HEAD_START_S
        while time.monotonic() < until and not any(peer.status.get("first_merge_at") for peer in cast.peers):
            _poll(cast, children, screen)
        _start(cast, cast.peers[EARLY:], children)
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until and not all(peer.status.get("rounds") for peer in cast.peers):
            _poll(cast, children, screen)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            _poll(cast, children, screen)
            if pooled is None and passed > seconds * 0.7:
                screen.keep_picture()
                pooled = start_pooled(cast, children)
        for peer in cast.peers:
            control.ask(peer.directory, "drain")
        until = time.monotonic() + DRAIN_WITHIN_S
        while time.monotonic() < until and not settled([peer.status for peer in cast.peers]):
            _poll(cast, children, screen)
        for peer in cast.peers:
            with suppress(LinkError, LocalError):  # then its score is that of its last round
                control.ask(peer.directory, "evaluate")
        _poll(cast, children, screen, "Every update made has arrived. Now the audit, and the comparison.")
    pooled = pooled or start_pooled(cast, children)
    for child in children.all:
        if child is not pooled:
            child.process.terminate()
    screen.say("Now the audit of one ledger; and one model on all the data, to compare with.")
    bundle, verified, replayed = audit(cast)
    scores = pooled_scores(children, pooled)
    children.stop()
    return compare(cast, screen.started, bundle, verified, replayed, scores)


def _start(cast: Cast, peers: Sequence[Peer], children: Children) -> None:
    """Each peer as a person would start it, except that it ends with us."""
    from gossip.filterlists.split import DEMO_LICENCE

    for peer in peers:
        peer.status = {"name": peer.name, "state": "importing"}
        words = ["run"] if peer is cast.peers[0] else ["join", cast.invitation, "--name", peer.name]
        words += ["--dir", str(peer.directory), "--data", str(peer.data), "--validation", str(cast.validation)]
        words += ["--licence", DEMO_LICENCE, "--interface", "lo", "--every", "0", "--json", "--until-stdin-closes"]
        words += ["--cores", str(os.cpu_count() or 1)]  # they share this machine, and the system shares it out
        if peer.slow:
            words += ["--duty", str(SLOW_DUTY)]
        children.start(peer.name, own_program(*words), cast.place / f"{peer.name}.log")


def _poll(cast: Cast, children: Children, screen: Screen, words: str = "") -> None:
    """Ask every peer how it is, show it, and wait for the rest of a fifth of a second."""
    begun = time.monotonic()
    children.check()
    for peer in cast.peers:
        with suppress(LinkError):  # too busy to answer: its last status stands
            peer.status = remembered.status_of(peer.directory, timeout_s=1.0) or peer.status
    screen.show([peer.status or {"name": peer.name, "state": "waiting"} for peer in cast.peers], words)
    time.sleep(max(0.0, POLL_S - (time.monotonic() - begun)))


def settled(statuses: Sequence[Mapping[str, Any]]) -> bool:
    """All are done, lack nothing they know of, and hold equally much of every log."""
    heads = [status.get("heads") for status in statuses]
    return (
        all(status.get("drained") and not status.get("missing") for status in statuses)
        and all(head == heads[0] for head in heads)
        and bool(heads)
    )
