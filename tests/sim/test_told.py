"""What people are told of what the policy and others have against somebody: once, whole, in words, up to date."""

from __future__ import annotations

import re

from cli import running
from gossip.events import Note
from gossip.sim import Crash, SimSwarm
from ledger.entry import Reading
from ledger.policy_words import say_breach
from tests.sim.test_inspection import BAD, flipped, lived, published


def of_bad(swarm: SimSwarm) -> list[str]:
    """What the live view of another shows of its newest updates."""
    machine = swarm.peers[0].machine
    assert machine is not None
    return [line.text for line in machine.status().tail if line.kind == "update" and line.name == f"peer-{BAD}"]


def test_what_the_policy_leaves_out_is_told_once_in_a_sentence_with_every_rule_that_it_breaks() -> None:
    swarm, _ = lived(policy="policy = 1\n[data.public]\nmin = 1\n[data.records]\nmin = 100\n", public=(0, 1, 2, 3))
    notes = [f for _, index, kind, f in swarm.notes if (index, kind) == (0, "refused") and f["seq"]]
    about = [f for f in notes if f["name"] == f"peer-{BAD}"]
    assert len(about) > 3
    assert [f["again"] for f in about] == [False, *[True] * (len(about) - 1)]
    broken = [Reading(rule="data.public.min", value=0, limit=1), Reading(rule="data.records.min", value=64, limit=100)]
    reasons = "; ".join(map(say_breach, broken))
    assert reasons.endswith("64 rows in the data set (allowed: at least 100)")
    assert about[0]["text"] == f"peer-{BAD}'s update (entry {about[0]['seq']}) is left out: {reasons}"
    assert [one["rule"] for one in about[0]["readings"]] == ["data.public.min", "data.records.min"]

    shown = running._Shown("live")
    shown.note(Note("refused", about[0]))
    assert shown.words == about[0]["text"]
    shown.note(Note("trouble", {"text": "the disk is full"}))
    shown.note(Note("refused", about[1]))
    assert shown.words == "trouble: the disk is full"  # what everybody has read is no news

    own = [str(f["text"]) for _, index, kind, f in swarm.notes if (index, kind) == (BAD, "trouble")]
    (said,) = [text for text in own if "policy" in text]  # not with each update
    assert said.endswith(reasons)
    machine = swarm.peers[BAD].machine
    assert machine is not None
    (line,) = machine.status().refusals  # of three verdicts, the newest
    assert re.match(r"[34] peers refuse your update ", line)
    assert {text[text.rindex(",") :] for text in of_bad(swarm)} == {", left out"}


def test_what_a_majority_took_out_is_told_once_by_whom_and_why_and_its_author_sees_it_grow() -> None:
    swarm, _ = flipped()
    gone = [f for _, index, kind, f in swarm.notes if (index, kind) == (0, "condemned")]
    (note,) = gone
    assert re.match(rf"peer-{BAD}'s \d+ updates \(entries \d+ to \d+\) were taken out of the model: 3 of 4 others say: "
                    r"\d[\d.]*% of the shown records are labelled unlike the pinned lists", note["text"])  # fmt: skip
    assert {text[text.rindex(",") :] for text in of_bad(swarm)} == {", condemned"}  # no weight, as if it counted

    machine = swarm.peers[BAD].machine
    assert machine is not None
    mine = published(swarm, BAD)
    lines = machine.status().refusals
    (line,) = [text for text in lines if "taken out" in text]
    assert line.startswith(f"your {len(mine)} updates (entries {mine[0]} to {mine[-1]}) were taken out of the model")
    (said,) = [text for text in lines if "condemn" in text]  # "1 peer condemns", "2 peers condemn" are gone
    assert re.match(r"[34] peers condemn your data set ", said)


def test_after_a_restart_a_peer_sees_what_stands_against_the_data_of_now() -> None:
    swarm, _ = lived(public=tuple(range(5)), flipped={BAD: 0.5}, crashes=(Crash(BAD, 7.0, 1.0),))
    machine = swarm.peers[BAD].machine
    assert machine is not None
    mine = published(swarm, BAD)
    said, gone = machine.status().refusals
    assert re.match(r"[34] peers condemn your data set ", said)
    assert gone.startswith(f"your {len(mine)} updates (entries {mine[0]} to {mine[-1]}) were taken out of the model")

    against = machine._chronicle._against
    against.announced(mine[0])  # other data since: that is the past
    assert machine.status().refusals == ()


def test_what_a_peer_sent_is_refused_in_words() -> None:
    fields = {"peer": "ab" * 32, "name": "bob", "text": "a frame that is none", "log": "ab" * 32, "seq": 3, "rule": "x"}
    assert running.told("refused", fields) == "refused what bob sent: a frame that is none"
