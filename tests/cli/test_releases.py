"""Final snapshots that are given a name here: kept, gone back to, and refused where they are not what was named."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cli import exits
from gossip import releases
from gossip.releases import Index, Release, model_path, read_index, releases_path
from gossip.scorers import load_scorer
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.canonical import encode
from ledger.errors import LocalError, RemoteError
from ledger.export import FORMAT, Header, write_model
from tests.cli.test_ledger import facts, gossip, stored
from tests.fold import toy

SPEC = ModelSpec.parse(FILTERLIST)


def witnessed() -> tuple[toy.Swarm, int, int]:
    """A swarm, the index of birch's final snapshot, and that of one that nobody has signed yet."""
    swarm = toy.Swarm(["birch"], witnesses=["founder"])
    birch = swarm["birch"]
    birch.publish(np.ones(16) / 50)
    swarm.exchange()
    seq = birch.snapshot().seq
    swarm.exchange()
    birch.final(seq, [swarm.founder])
    later = birch.snapshot().seq
    swarm.exchange()
    return swarm, seq, later


def test_a_final_snapshot_is_named_used_and_left_again(tmp_path: Path) -> None:
    swarm, seq, later = witnessed()
    stored(place := tmp_path / "peer", swarm)
    here = ("--dir", str(place))
    assert "No release yet" in gossip("model", "releases", *here)
    refused = gossip("model", "release", "1.0", *here, "--snapshot", f"birch/{later}", code=exits.INCONCLUSIVE)
    assert "is not final" in refused
    assert "wait for the witnesses" in refused
    assert refused.count("\n") == 1
    assert not releases_path(place).exists()

    made = facts("model", "release", "1.0", *here)
    assert (made["name"], made["seq"], made["updates"]) == ("1.0", seq, 1)
    kept = releases_path(place)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept / "index.json")] == [0o700, 0o600]
    assert "there is a release 1.0 already" in gossip("model", "release", "1.0", *here, code=exits.USAGE)
    assert facts("model", "releases", *here)["in_use"] == ""
    assert facts("status", *here)["release"] == ""
    assert "what the swarm trains on is as it was" in gossip("model", "use", "1.0", *here)
    assert facts("model", "releases", *here) == {
        "dir": str(place), "in_use": "1.0", "releases": [{k: v for k, v in made.items() if k != "dir"}],
    }  # fmt: skip
    assert facts("status", *here)["release"] == "1.0"
    assert "model release 1.0 is what is scored with" in gossip("status", *here)
    assert "in use  1.0" in gossip("model", "releases", *here)
    assert "there are 1.0" in gossip("model", "use", "2.0", *here, code=exits.USAGE)
    assert "newest model" in gossip("model", "use", "newest", *here)
    assert facts("model", "releases", *here)["in_use"] == ""


def test_a_model_that_has_changed_is_not_used(tmp_path: Path) -> None:
    swarm, _, _ = witnessed()
    stored(place := tmp_path / "peer", swarm)
    gossip("model", "release", "spring", "--dir", str(place))
    path = model_path(place, "spring")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    told = gossip("model", "use", "spring", "--dir", str(place), code=exits.USAGE)
    assert "is not the one that was named" in told
    assert "gossip model use newest" in told
    path.unlink()
    assert "cannot be read" in gossip("model", "use", "spring", "--dir", str(place), code=exits.USAGE)


def released(place: Path, name: str, value: float) -> np.ndarray:  # type: ignore[type-arg]
    theta = np.full(SPEC.parameters, value, np.float32)
    header = Header(
        format=FORMAT, swarm="aa" * 32, snapshot=("bb" * 32, 3, "cc" * 32), heads=[], model_hash="dd" * 32,
        layout=SPEC.layout(), model=SPEC.text, updates=7,
    )  # fmt: skip
    releases.add(
        place,
        lambda digest: Release(
            name=name, log="bb" * 32, seq=3, model_hash="dd" * 32, sha256=digest, updates=7, time=1_767_225_600
        ),
        name,
        lambda path: write_model(path, header, theta.tobytes()),
    )
    return theta


def test_what_is_scored_with_is_the_release_in_use_until_it_is_left(tmp_path: Path) -> None:
    create_swarm(place := tmp_path / "peer", name="s", task="filterlist", model_text=FILTERLIST, peer_name="a", seed=1)
    first, second = released(place, "first", 0.25), released(place, "second", -0.5)
    for name, theta in (("first", first), ("second", second)):
        releases.use(place, name)
        scorer = load_scorer(None, place)
        assert scorer.theta.tobytes() == theta.tobytes()
        assert name in scorer.name
    changed = bytearray(model_path(place, "second").read_bytes())
    changed[-1] ^= 1
    model_path(place, "second").write_bytes(changed)
    with pytest.raises(LocalError, match="not the one that was named"):  # looked at each time, not when it was chosen
        load_scorer(None, place)
    releases.use(place, "newest")
    with pytest.raises(LocalError, match="No model yet"):  # that of the swarm itself: nothing is folded
        load_scorer(None, place)


@pytest.mark.parametrize("name", ["", "newest", "a b", "../up", "a/b", "..", "x" * 65, "naïve", "a\n"])
def test_names_that_cannot_be_given(name: str) -> None:
    with pytest.raises(LocalError):
        releases.check_name(name)


def test_a_damaged_list_is_said_and_never_begun_anew(tmp_path: Path) -> None:
    releases_path(tmp_path).mkdir()
    path = releases_path(tmp_path) / "index.json"
    one = Release(name="a", log="bb" * 32, seq=3, model_hash="dd" * 32, sha256="ee" * 32, updates=7, time=1)
    for bad in (
        Index(format="gossip-releases/2"), Index(releases=[one, one]), Index(in_use="b", releases=[one]),
        Index(releases=[msgspec.structs.replace(one, name="../x")]),
    ):  # fmt: skip
        with pytest.raises(RemoteError):
            read_index(encode(bad))
    path.write_bytes(b"[")
    with pytest.raises(LocalError, match="damaged"):
        releases.index(tmp_path)
    with pytest.raises(LocalError, match="damaged"):
        releases.use(tmp_path, "newest")
    assert path.read_bytes() == b"["
