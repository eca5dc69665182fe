"""`gossip ledger prune`: what goes, what stays, and what a peer that let go of its past can do and cannot."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import pruning
from cli.app import app
from gossip import directory as places
from gossip.config import PeerConfig
from gossip.directory import store_path
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node import shed
from gossip.peer.book import Book, restore
from gossip.sim import Scenario, SimSwarm
from ledger.entry import Snapshot
from ledger.errors import LocalError
from ledger.store import DropBlobs, PutBase, PutBlob, PutCheckpoint, PutEntry, PutMeta, Store, Write


@cache
def past(witnesses: int = 1) -> SimSwarm:
    """A swarm of three that has run a while; everybody keeps everything."""
    swarm = SimSwarm(
        Scenario(
            peers=3, seconds=9, round_s=0.5, seed=1, constants={"snapshot_every": 4}, witnesses=witnesses,
            config=PeerConfig(vote_s=2.0),
        )
    )  # fmt: skip
    report = swarm.run()
    assert report.drained
    return swarm


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The directory of one of them."""
    return write(tmp_path / "peer", past())


def write(place: Path, swarm: SimSwarm) -> Path:
    place.mkdir()
    peer = swarm.peers[1]
    memory, founder = peer.memory, swarm.peers[0].self_id
    said = {"swarm": swarm.swarm_id, "founder": founder, "self": peer.self_id, "swarm_name": "toy", "name": "ann"}
    writes: list[Write] = [PutMeta(key, value.encode()) for key, value in said.items()]
    writes += [PutEntry(log, seq, data) for log, seq, data in memory.history]
    writes += [PutBlob(digest, data) for digest, data in memory.blobs.items()]
    writes += [PutCheckpoint(log, c.size, c.note, c.held, c.proof) for log, c in memory.checkpoints.items()]
    with Store(store_path(place)) as store:
        store.commit(writes)
    return place


def book_of(place: Path) -> Book:
    with Store.open_readonly(store_path(place)) as store:
        swarm, founder = store.meta("swarm").decode(), store.meta("founder").decode()
        return restore(swarm, founder, store.history(), store.blob, NumpyArithmetic(), store.base())


def blobs(place: Path) -> int:
    with Store.open_readonly(store_path(place)) as store:
        return store.blob_sizes()[0]


def gossip(*words: str, fails: bool = False) -> str:
    result = CliRunner().invoke(app, [*words])
    assert (result.exit_code != 0) is fails, result.output
    return " ".join(result.output.split())


def test_it_begins_from_the_base_with_the_very_model_that_it_had(place: Path) -> None:
    before = book_of(place)
    had = blobs(place)
    done = json.loads(gossip("ledger", "prune", "--dir", str(place), "--keep", "20", "--json"))
    assert done["deltas"] == had - blobs(place) > 20
    assert done["bytes"] > 20 * done["deltas"]
    assert blobs(place) == done["kept"] >= 20
    assert done["dry_run"] is False
    after = book_of(place)
    ran = past().peers[1].book
    assert ran is not None
    assert after.model_hash() == before.model_hash() == ran.model_hash()
    assert after.replica.heads() == before.replica.heads()
    again = gossip("ledger", "prune", "--dir", str(place), "--keep", "20")
    assert "nothing to let go of" in again
    assert json.loads(gossip("ledger", "prune", "--dir", str(place), "--keep", "0", "--json"))["deltas"] >= 1


def test_a_dry_run_says_what_would_go_and_changes_nothing(place: Path) -> None:
    had = store_path(place).read_bytes()
    said = gossip("ledger", "prune", "--dir", str(place), "--dry-run", "--keep", "0")
    assert "would let go of" in said
    assert "every entry" in said
    assert "cannot replay from the beginning any more" in said
    assert "disk" not in said
    assert store_path(place).read_bytes() == had
    assert "an archive, nothing was let go of" in gossip("status", "--dir", str(place))


def test_no_bundle_is_made_without_the_past_and_status_says_why(place: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "bundle")
    gossip("ledger", "bundle", "--dir", str(place), "--out", out)
    assert "disk" in gossip("ledger", "prune", "--dir", str(place), "--keep", "0")
    said = gossip("ledger", "bundle", "--dir", str(place), "--out", out + "2", fails=True)
    assert "let go of old deltas" in said
    assert "ask a member that keeps everything" in said
    assert not Path(out + "2").exists()
    assert "no archive: it begins from final snapshot" in gossip("status", "--dir", str(place))
    blobs = json.loads(gossip("status", "--dir", str(place), "--json"))["blobs"]
    assert blobs["archive"] is False
    assert blobs["base"]["updates"] > 20
    assert gossip("ledger", "log", str(place))  # entries are all there
    # what was exported before still replays, and to the same model
    replayed = gossip("ledger", "replay", out)
    assert book_of(place).model_hash()[:12] in replayed


def test_the_models_of_its_base_and_of_later_snapshots_are_exported_as_before(place: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.gm", tmp_path / "other.gm"
    gossip("model", "export", str(place), "--out", str(one))
    own = past().peers[1].self_id
    book = book_of(place)
    snapshots = [s for s in range(book.replica.size(own)) if isinstance(book.replica.entry(own, s), Snapshot)]
    gossip("model", "export", str(place), "--snapshot", f"{own}/{snapshots[-1]}", "--out", str(tmp_path / "last.gm"))
    shed.prune(place, 0)
    gossip("model", "export", str(place), "--out", str(other))
    assert one.read_bytes() == other.read_bytes()
    gossip("model", "export", str(place), "--snapshot", f"{own}/{snapshots[-1]}", "--out", str(tmp_path / "late.gm"))
    assert (tmp_path / "last.gm").read_bytes() == (tmp_path / "late.gm").read_bytes()
    words = ("model", "export", str(place), "--snapshot", f"{own}/{snapshots[0]}", "--out", str(tmp_path / "old.gm"))
    said = gossip(*words, fails=True)
    assert "has let go of deltas" in said
    assert not (tmp_path / "old.gm").exists()


def test_nothing_goes_where_nothing_is_final(tmp_path: Path) -> None:
    place = write(tmp_path / "peer", past(witnesses=0))
    had = blobs(place)
    said = gossip("ledger", "prune", "--dir", str(place), "--keep", "0", fails=True)
    assert "no snapshot here is final" in said
    assert blobs(place) == had


def test_a_base_that_is_not_its_snapshots_model_is_damage_and_not_a_model(place: Path) -> None:
    shed.prune(place, 0)
    with Store(store_path(place)) as store:
        base = store.base()
        assert base is not None
        other = bytes([base.sums[0] ^ 1]) + base.sums[1:]
        store.commit([PutBase(base.log, base.seq, other)])
    with pytest.raises(LocalError, match="the store is damaged"):
        book_of(place)
    entry = past().peers[1].book
    assert entry is not None
    assert isinstance(entry.replica.entry(base.log, base.seq), Snapshot)


def test_no_blob_goes_without_a_base(place: Path) -> None:
    with Store(store_path(place)) as store:
        digest = next(iter(past().peers[1].memory.blobs))
        with pytest.raises(LocalError, match="no base is kept"):
            store.commit([DropBlobs((digest,))])
        assert store.blob(digest) is not None


def test_where_the_sums_take_more_than_the_deltas_that_could_go_nothing_goes(place: Path) -> None:
    had = blobs(place)
    some = next(keep for keep in range(200, 0, -1) if shed.prune(place, keep, dry_run=True).deltas)
    assert shed.prune(place, some, dry_run=True).deltas > 1, "one or two deltas of this toy are shorter than its sums"
    found = shed.prune(place, some + 1)
    assert (found.deltas, found.bytes, found.kept) == (0, 0, had)
    assert blobs(place) == had
    with Store.open_readonly(store_path(place)) as store:
        assert store.base() is None


def test_while_the_node_runs_nothing_goes_but_what_would_is_said(place: Path) -> None:
    with places.lock(place):
        assert shed.prune(place, 0, dry_run=True).deltas > 0
        with pytest.raises(LocalError):
            shed.prune(place, 0)
    assert shed.prune(place, 0).deltas > 0


def test_a_command_and_a_running_node_keep_as_many_updates() -> None:
    assert pruning.KEEP == shed.KEPT_UPDATES


def test_the_file_gets_smaller(place: Path) -> None:
    """Blobs of some size, as models that are no toys have them: pages are given back to the disk."""
    with Store(store_path(place)) as store:
        before = store.spare_bytes()[1]
        padded = [bytes([n]) * 20_000 for n in range(60)]
        store.commit([PutBlob(sha256(data).hexdigest(), data) for data in padded])
        assert store.spare_bytes()[1] > before + 1_000_000
        spare = store.spare_bytes()[0]
        shed.compact(store)
        assert store.spare_bytes()[0] == spare, "not worth it"
    found = shed.prune(place, 0)
    assert found.file_after <= found.file_before
    with Store(store_path(place)) as store:
        store.commit([DropBlobs(tuple(sha256(data).hexdigest() for data in padded))])
        assert store.spare_bytes()[0] > 1_000_000
        store.compact()
        assert store.spare_bytes()[0] == 0
        assert store.spare_bytes()[1] <= before
