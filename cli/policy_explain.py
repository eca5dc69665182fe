"""What the policy makes of one update, or of one data set, rule by rule: value, limit, outcome, and who says so.

    rules on entries     evaluated here, by the policy in force in the entry's own past: whoever does it finds the same
    rules on opinions    read from the judgements that receivers wrote down; as many as the quorum take an update out

The ledger's rules are run once more over what is read (a bundle's, or a peer's), without making the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli import policy_rules, render
from cli.entries import label
from cli.opened import Opened
from cli.plain import visible
from ledger.chain import LogId, peer_of
from ledger.condemned import judges_of, owner, quorum, voices
from ledger.entry import GRID_ONE, Data, Judgement, Reading, Update
from ledger.errors import LocalError
from ledger.in_force import in_force, said_in
from ledger.policy import OPENED, Breach, Policy, Ruled, Ruling
from ledger.policy_facts import FACTS
from ledger.policy_text import Rule
from ledger.policy_words import amount, say_breach
from ledger.replica import Replica


@dataclass(frozen=True, slots=True)
class Opinion:
    """A judgement that names the update, or the data that it was trained on."""

    judge: str  # a name
    log: LogId
    seq: int
    said: Judgement
    at: int  # the entry judged: the update's own, or its data entry's


@dataclass(frozen=True, slots=True)
class Explained:
    log: LogId
    seq: int
    entry: Update | Data
    data_seq: int
    number: int  # of the policy in force in its past
    policy: Policy
    now: Policy  # in force in everything that is here
    ruling: Ruling
    opinions: tuple[Opinion, ...]
    weight: int | None  # of an update in the fold or once in it
    counts: bool  # whether it is in the sum of all that is here
    condemned: bool  # by as many as it takes
    zone: str  # of the data
    needed: int  # voices that have to condemn it; 0 where nobody can: it was not let in
    name: str
    voices: int  # that those have who do: guests of one member have one
    trained: int = 0  # of a data set: updates let in that were trained on it
    out: int = 0  # of these, those that a quorum took out of the model

    @property
    def judges(self) -> list[str]:
        """Names of those who condemn it, each peer once."""
        by = {peer_of(one.log): one.judge for one in self.opinions if one.said.decision == "condemned"}
        return sorted(by.values())


def explain(read: Opened, wanted: str) -> Explained:
    """LocalError if there is no such entry, or if it is neither an update nor a data entry."""
    replica = read.replica
    log, seq = read.find(wanted)
    entry = replica.entry(log, seq)
    if not isinstance(entry, Update | Data):
        raise LocalError(
            f"entry {visible(wanted, 60)} is no update and no data set",
            why="a policy speaks of these alone",
            next_step="find one with: gossip ledger log",
        )
    data_seq = entry.data if isinstance(entry, Update) else seq
    data = replica.entry(log, data_seq)
    assert isinstance(data, Data)
    past = replica.past(log, seq + 1)
    said = said_in((replica.branches.get(name), size) for name, size in past.items())
    number, digest = in_force(replica.genesis, {wish: tuple(keys) for wish, keys in said.items()})
    policy = replica.policy_of(digest)
    update = isinstance(entry, Update)
    counts = update and any((name, at) == (log, seq) for name, at, *_ in replica.updates)
    trained = () if update else _trained_on(replica, log, seq)
    condemned = [at for at in trained if replica.condemned(log, at)]
    held = {at for name, at, *_ in replica.updates if name == log} if condemned else set()
    out = [at for at in condemned if at not in held]
    return Explained(
        log, seq, entry, data_seq, number, policy, replica.policy_now(),
        policy.rule_on(entry, data) if isinstance(entry, Update) else policy.rule_on_data(data),
        tuple(_opinions(read, log, {seq, data_seq} if update else {seq})),
        replica.weight_of(log, seq) if update else None, counts, replica.condemned(log, seq) if update else bool(out),
        data.zone, _needed(replica, log, seq if update else max(trained, default=seq)),
        read.names().get(log, peer_of(log)[:8]), _voices(replica, log, seq), len(trained), len(out),
    )  # fmt: skip


def _trained_on(replica: Replica, log: LogId, data_seq: int) -> tuple[int, ...]:
    """The updates let in that cite a data entry of a log."""
    found = []
    for seq in range(data_seq + 1, replica.size(log)):
        entry = replica.entry(log, seq)
        if isinstance(entry, Update) and entry.data == data_seq and replica.weight_of(log, seq) is not None:
            found.append(seq)
    return tuple(found)


def _needed(replica: Replica, log: LogId, seq: int) -> int:
    held = replica.branches.get(log)
    return quorum(held.active[held.folded[seq]]) if replica.weight_of(log, seq) is not None else 0


def _voices(replica: Replica, log: LogId, seq: int) -> int:
    held = replica.branches.get(log)
    if replica.weight_of(log, seq) is not None:
        return voices(judges_of(held, seq, replica.heads()))
    return voices({(judge.peer, house) for judge, _, house in owner(held, seq).votes.get(seq, ())})


def _opinions(read: Opened, log: LogId, seqs: set[int]) -> list[Opinion]:
    """Everything that was judged about these entries of a log, on the branch that has them."""
    replica, names = read.replica, read.names()
    found = []
    for judge, at, said in replica.judgements(peer_of(log)):
        named = seqs.intersection(said.seqs)
        if named and said.seqs[-1] < replica.size(log) and replica.leaf(log, said.seqs[-1]) == said.hash:
            found.append(Opinion(names.get(judge, peer_of(judge)[:8]), judge, at, said, min(named)))
    return sorted(found, key=lambda one: (one.judge, one.log, one.seq))


# ------------------------------------------------------------------ as facts


def facts(found: Explained) -> dict[str, Any]:
    return {
        "entry": label(found.log, found.seq),
        "log": found.log,
        "seq": found.seq,
        "name": found.name,
        "kind": "update" if isinstance(found.entry, Update) else "data",
        "data": found.data_seq,
        "policy": found.policy.hash,
        "number": found.number,
        "in_force_now": found.now.hash,
        "outcome": found.ruling.outcome,
        "permille": found.ruling.permille,
        "weight": found.weight,
        "counts": found.counts,
        "rules": [_row(found, rule_at) for rule_at in range(len(found.policy.rules))],
        "opinions": [
            {
                "by": one.judge, "log": one.log, "seq": one.seq, "of": one.at, "decision": one.said.decision,
                "readings": [{"rule": r.rule, "value": r.value, "limit": r.limit} for r in one.said.readings],
                "measured": [
                    {"on": m.on, "examples": m.given.examples, "wrong": m.given.fp + m.given.fn,
                     "wrong_without": m.without.fp + m.without.fn}
                    for m in one.said.measured
                ],
            }
            for one in found.opinions
        ],
        "condemned": found.condemned,
        "condemned_by": found.judges,
        "voices": found.voices,
        "quorum": found.needed,
        "trained": found.trained,
        "out": found.out,
    }  # fmt: skip


def _row(found: Explained, at: int) -> dict[str, Any]:
    rule = found.policy.rules[at]
    row: dict[str, Any] = policy_rules.facts(rule)
    ruled = next((one for one in found.ruling.readings if one.rule is rule), None)
    by = [(one, value) for one in found.opinions if (value := _found_by(one, rule)) is not None]
    if ruled is not None:
        row |= {"value": ruled.value, "broken": ruled.broken, "why": _why(ruled)}
    else:
        row |= {
            "value": max((value for _, value in by), default=None),
            "broken": any(rule.broken_by(value) for _, value in by) if by else None,
            "why": "; ".join(_said(rule, one, value) for one, value in by) or _silence(found, rule.fact),
        }
    row["by"] = [{"name": one.judge, "log": one.log, "seq": one.seq, "value": value} for one, value in by]
    return row


def _found_by(one: Opinion, rule: Rule) -> int | None:
    """What this peer found on the rule's fact. Of a judgement that only scores, the scores tell."""
    for reading in one.said.readings:
        if reading.rule == rule.name:
            return reading.value
    for measured in one.said.measured:
        if rule.fact == f"{measured.on}.harm_permille" and measured.given.examples:
            more = measured.given.fp + measured.given.fn - measured.without.fp - measured.without.fn
            return max(0, 1000 * more // measured.given.examples)
    return None


def _said(rule: Rule, one: Opinion, value: int) -> str:
    if not rule.broken_by(value):
        return f"{one.judge} says so"
    return f"{one.judge}: {say_breach(Breach(rule.name, value, rule.limit))}"


def _why(ruled: Ruled) -> str:
    return say_breach(ruled.breach) if ruled.broken else ""


def _silence(found: Explained, fact: str) -> str:
    if fact == OPENED:
        return "a request"
    if fact.startswith("opened.") and found.zone == "private":
        return "private data are never opened"
    if fact.startswith("update.") or (isinstance(found.entry, Data) and not fact.startswith("opened.")):
        return "of updates only"
    return "nobody has reported anything"


# ------------------------------------------------------------------ for people


def show(found: Explained) -> None:
    told = facts(found)
    what = f"trained on its data entry {found.data_seq}" if told["kind"] == "update" else "a data set"
    render.say(f"entry   {told['entry']} of {found.name}, {what}")
    render.say(f"policy  number {found.number}, {found.policy.hash}, in force where it was written")
    rows = []
    for row in told["rules"]:
        fact = FACTS[str(row["rule"]).rpartition(".")[0]]
        value = render.NONE if row["value"] is None else amount(fact.unit, row["value"])
        state = {True: "BROKEN", False: "holds", None: render.NONE}[row["broken"]]
        rows.append((row["rule"], visible(row["asks"], 120), value, state, visible(row["why"], 240)))
    render.table(("rule", "asks for", "value", "", "why"), rows, right={2})
    for one in found.opinions:
        readings = ", ".join(say_breach(reading) for reading in one.said.readings) or _scores(one.said)
        where = "it" if one.at == found.seq else f"its data entry {one.at}"
        render.say(
            f"{one.judge} ({label(one.log, one.seq)}) judged {where}: {one.said.decision}. {visible(readings, 240)}"
        )
    render.say(f"So      {outcome(found)}")
    if found.now.hash != found.policy.hash:
        render.say(f"The policy in force now is another: {found.now.hash}. It rules on what is published from now on.")


def _scores(said: Judgement) -> str:
    return "; ".join(
        f"{measured.on}: {measured.given.fp + measured.given.fn} of {measured.given.examples} wrong with more of it, "
        f"{measured.without.fp + measured.without.fn} without"
        for measured in said.measured
    )


def outcome(found: Explained) -> str:
    """What became of it, in one sentence."""
    ruling = found.ruling
    judges = f"{', '.join(found.judges)} ({found.voices} of the {found.needed} that it takes)"
    if isinstance(found.entry, Data):
        if found.out:
            return (
                f"condemned by {', '.join(found.judges)}: of the {render.many(found.trained, 'update')} trained on it "
                f"so far, {found.out:,} {'is' if found.out == 1 else 'are'} out of the model"
            )
        if found.judges and ruling.outcome == "pass":
            return f"updates trained on it count: condemned by {judges if found.needed else ', '.join(found.judges)}"
        return {
            "reject": "updates trained on it are left out of the model: ",
            "weight": f"updates trained on it count {ruling.permille / 10:.12g}% of their weight: ",
            "quarantine": "updates trained on it count in full, and are marked: ",
            "pass": "nothing here keeps updates that are trained on it out of the model",
        }[ruling.outcome] + _reasons(ruling)
    if ruling.outcome == "reject":
        return f"it is left out of the model: {_reasons(ruling)}"
    weight = f"weight {render.score((found.weight or 0) / GRID_ONE, 2)}"
    if not found.counts:
        if found.condemned:
            return f"it was taken out of the model again: condemned by {judges}"
        return "it does not count: something else than the policy took it out (gossip ledger verify, gossip ledger log)"
    said = f"it counts, {weight}"
    if ruling.outcome == "weight":
        said += f", which is {ruling.permille / 10:.12g}% of what it would have: {_reasons(ruling)}"
    elif ruling.outcome == "quarantine":
        said += f", and is marked: {_reasons(ruling)}"
    if found.condemned:
        said += f"; condemned by {judges}, but a final snapshot holds it"
    elif found.judges:
        said += f"; condemned by {judges}"
    return said


def _reasons(ruling: Ruling) -> str:
    broken: list[Breach | Reading] = [one.breach for one in ruling.readings if one.broken]
    return "; ".join(say_breach(breach) for breach in broken)
