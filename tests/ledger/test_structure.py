"""The structural pass: whatever is changed in bytes, chains, trees, signatures and pasts is found where it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ledger import structure
from ledger.audit import Anchors, AuditOptions, structure_path
from ledger.batch import decode_batch
from ledger.bundle import BundleContents, BundleLog, write_bundle
from ledger.canonical import decode_entry, encode
from ledger.chain import heads_hash, pack, peer_of
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import AnyEntry
from ledger.errors import RemoteError
from ledger.merkle import Tree, leaf_hash
from ledger.pasts import Pasts
from ledger.structure import check_structure
from tests.fold.bundles import stream_of, with_log
from tests.ledger.skeleton import Skeleton

SKELETON = Skeleton(5)
BUNDLE = SKELETON.bundle(700)
LOG = BUNDLE.logs[2]
CHAIN = list(LOG.entries())


def signed(chain: list[bytes], log: BundleLog = LOG) -> BundleLog:
    """The log with these entries instead, rightly signed by its author."""
    number = SKELETON.peers.index(peer_of(log.peer))
    root = Tree(map(leaf_hash, chain)).root()
    note = sign(Checkpoint(origin(BUNDLE.swarm, log.peer), len(chain), root), SKELETON.keys[number])
    return replace(log, size=len(chain), checkpoint=note, entries=stream_of(chain))


def first_finding(bundle: BundleContents) -> tuple[str, int, str]:
    found = next(iter(check_structure(bundle).findings), None)
    assert found is not None
    return found.log, found.index, found.rule


def changed(index: int, change: Callable[[AnyEntry], AnyEntry]) -> BundleContents:
    chain = list(CHAIN)
    chain[index] = encode(change(decode_entry(chain[index])))
    return with_log(BUNDLE, LOG.peer, lambda log: signed(chain))


def test_what_hangs_together_has_no_findings_and_every_entry_is_followed() -> None:
    found = check_structure(BUNDLE)
    assert list(found.findings) == []
    assert found.entries == 700
    assert {log.log: log.root for log in found.logs} == {
        log.peer: Tree(map(leaf_hash, log.entries())).root() for log in BUNDLE.logs
    }


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("place", {"seq": 71}),
        ("place", {"prev": "ab" * 32}),
        ("place", {"swarm": "ab" * 32}),
        ("heads", {"heads": "ab" * 32}),
        ("seen", {"seen": [(0, 1)]}),
        ("format", {"v": 2}),
        ("format", {"time": -1}),
        ("place", {"prev": "AB" * 32}),
        ("seen", {"seen": [(9, 1)]}),
        ("meets", {"meets": [BUNDLE.logs[0].peer]}),
    ],
)
def test_a_lie_about_the_chain_is_found_at_its_index(rule: str, change: dict[str, object]) -> None:
    bundle = changed(70, lambda entry: msgspec.structs.replace(entry, **change))
    assert first_finding(bundle) == (LOG.peer, 70, rule)


def test_who_has_seen_an_entry_must_have_seen_what_that_had_seen() -> None:
    """The heads are rightly hashed over a past with a hole in it."""
    log = next(log for log in BUNDLE.logs if log.peer == SKELETON.peers[-1])  # has seen those who write before it
    chain = list(log.entries())
    entry = decode_entry(chain[70])
    seen: dict[str, int] = {}
    roster: list[str] = []
    for data in chain[:71]:
        at = decode_entry(data)
        roster += at.meets
        dropped = roster.index(SKELETON.peers[0]) if SKELETON.peers[0] in roster else -1
        seen.update({roster[slot]: size for slot, size in at.seen if at.seq < 70 or slot != dropped})
    trees = {peer: SKELETON.trees[number] for number, peer in enumerate(SKELETON.peers)}
    heads = [bytes.fromhex(p) + seen[p].to_bytes(8, "big") + trees[p].root(seen[p]) for p in sorted(seen)]
    lie = msgspec.structs.replace(
        entry, seen=[pair for pair in entry.seen if pair[0] != dropped], heads=heads_hash(heads)
    )
    chain[70] = encode(lie)
    assert first_finding(with_log(BUNDLE, log.peer, lambda log: signed(chain, log))) == (log.peer, 70, "closed")


def test_going_back_is_no_way_to_see() -> None:
    back = changed(70, lambda entry: msgspec.structs.replace(entry, seen=[(slot, 1) for slot, _ in entry.seen]))
    assert first_finding(back) == (LOG.peer, 70, "seen")


def test_swapped_dropped_doubled_and_foreign_entries_are_found_where_they_are() -> None:
    swapped = [*CHAIN[:50], CHAIN[51], CHAIN[50], *CHAIN[52:]]
    dropped = [*CHAIN[:50], *CHAIN[51:]]
    doubled = [*CHAIN[:51], CHAIN[50], *CHAIN[51:]]
    other = list(BUNDLE.logs[1].entries())
    foreign = [*CHAIN[:50], other[50], *CHAIN[51:]]
    for chain, index in ((swapped, 50), (dropped, 50), (doubled, 51), (foreign, 50)):
        assert first_finding(with_log(BUNDLE, LOG.peer, lambda log, chain=chain: signed(chain))) == (
            LOG.peer, index, "place",
        )  # fmt: skip


def test_a_log_of_another_swarm_is_no_log_of_this_one() -> None:
    class Other(Skeleton):
        def _enrol(self, number: int) -> bytes:
            self.swarm = "cd" * 32
            return super()._enrol(number)

    other = Other(5).bundle(100)
    name = other.logs[1].peer
    replayed = replace(BUNDLE, logs=tuple(sorted((*BUNDLE.logs, other.logs[1]), key=lambda log: log.peer)))
    assert (name, 0, "place") in {(f.log, f.index, f.rule) for f in check_structure(replayed).findings}


def test_a_shortened_log_is_missed_by_those_who_cite_it() -> None:
    short = with_log(BUNDLE, LOG.peer, lambda log: signed(CHAIN[:60]))
    found = list(check_structure(short).findings)
    assert {finding.rule for finding in found} == {"past", "seen"}
    assert all(finding.log != LOG.peer for finding in found)


def test_entries_that_nobody_signed_are_found() -> None:
    tampered = [*CHAIN[:-1], encode(msgspec.structs.replace(decode_entry(CHAIN[-1]), time=7))]
    bundle = with_log(BUNDLE, LOG.peer, lambda log: replace(log, entries=stream_of(tampered)))
    assert (LOG.peer, len(CHAIN) - 1, "checkpoint") in {
        (finding.log, finding.index, finding.rule) for finding in check_structure(bundle).findings
    }


def test_every_bit_of_any_entry_matters() -> None:
    """One bit of one entry, in 150 seeded places, with the checkpoint left as it was."""
    luck = random.Random(11)
    for _ in range(150):
        log = luck.choice(BUNDLE.logs)
        chain = list(log.entries())
        index = luck.randrange(len(chain))
        bent = bytearray(chain[index])
        bent[luck.randrange(len(bent))] ^= 1 << luck.randrange(8)
        chain[index] = bytes(bent)
        bundle = with_log(BUNDLE, log.peer, lambda log, chain=chain: replace(log, entries=stream_of(chain)))
        found = {(finding.log, finding.index) for finding in check_structure(bundle).findings}
        assert found & {(log.peer, index), (log.peer, index + 1)}, (log.peer, index)


def test_logs_that_wait_give_their_room_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room at all for those that wait, everything is read again and found the same."""
    monkeypatch.setattr(structure, "MAX_BUFFERED_BYTES", 0)
    backwards = replace(BUNDLE, logs=BUNDLE.logs[::-1])
    found = check_structure(backwards)
    assert (list(found.findings), found.entries) == ([], 700)


def test_the_structure_alone_is_never_clean(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", BUNDLE)
    told: list[int] = []
    options = AuditOptions(on_progress=lambda done, total, what: told.append(done))
    report = structure_path(tmp_path / "bundle", Anchors(swarm=BUNDLE.swarm), options)
    assert (report.verdict, report.findings, report.entries) == ("inconclusive", (), 700)
    assert told[-1] == 700


# ------------------------------------------------------------------ batches


def test_a_batch_says_of_each_entry_what_decoding_it_alone_says() -> None:
    """Of entries of every kind, good and with one byte changed, inserted or left out."""
    luck = random.Random(5)
    good = [data for log in BUNDLE.logs for data in log.entries()]
    for _ in range(120):
        batch = luck.sample(good, 12)
        for number in range(0, 12, 3):
            data = bytearray(batch[number])
            at = luck.randrange(len(data))
            match luck.randrange(3):
                case 0:
                    data[at] = luck.randrange(256)
                case 1:
                    data.insert(at, luck.choice(b' \n,"0]}'))
                case _:
                    del data[at]
            batch[number] = bytes(data)
        for data, found in zip(batch, decode_batch(batch), strict=True):
            try:
                alone: AnyEntry | None = decode_entry(data)
            except RemoteError:
                alone = None
            if alone is None and not isinstance(found, RemoteError):
                # What one entry's fields say of one another is left to the rules; the bytes are canonical.
                assert encode(found) == data or msgspec.json.encode(found) == data
            elif alone is not None:
                assert not isinstance(found, RemoteError)
                assert (found.seq, found.prev, found.seen) == (alone.seq, alone.prev, alone.seen)


def test_no_entry_hides_in_another() -> None:
    """Two halves that make good lines when they are put side by side are no entries."""
    one, other = CHAIN[20], CHAIN[21]
    for batch in (
        [one + b"\n" + other[:40], other[40:]],
        [one + b"\n" + other],
        [one[:40], one[40:]],
        [one + b" "],
        [b""],
        [b"\n"],
    ):
        assert any(isinstance(found, RemoteError) for found in decode_batch(batch)), batch


# ------------------------------------------------------------------ pasts


def test_pasts_are_a_list_of_any_width() -> None:
    luck = random.Random(2)
    for width in (1, 40, 3000, 200_000):
        numbers, column = [], Pasts()
        for _ in range(700 if width < 10_000 else 40):
            numbers.append(luck.getrandbits(width))
            column.append(numbers[-1])
        assert list(column) == numbers
        assert [column[-1], column[0], column[len(numbers) // 2]] == [
            numbers[-1],
            numbers[0],
            numbers[len(numbers) // 2],
        ]
        assert list(column.prefix(30)) == numbers[:30]
    with pytest.raises(IndexError):
        column[len(numbers)]
    assert pack([], []) == 0
