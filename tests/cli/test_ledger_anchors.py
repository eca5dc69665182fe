"""What an auditor can hold a bundle against, as it is typed; and a model that left the swarm."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli import exits
from cli.children import own_environment, own_program
from ledger.bundle import write_bundle
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.note import COSIGNATURE, verifier_key
from ledger.seals import head_proof
from tests.cli.test_ledger import a_swarm, facts, gossip, stored
from tests.fold import toy
from tests.fold.bundles import contents_of, cosigned, with_log, written


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    return a_swarm()


@pytest.fixture
def bundle(tmp_path: Path, swarm: toy.Swarm) -> Path:
    return written(swarm, tmp_path / "bundle")


def cosigned_bundle(swarm: toy.Swarm, path: Path) -> Path:
    """Birch's log, cosigned by cedar."""
    birch = swarm["birch"]
    note = cosigned(swarm, birch.id, birch.replica.size(birch.id), ["cedar"])
    write_bundle(path, with_log(contents_of(swarm), birch.id, lambda log: replace(log, cosigned=note)))
    return path


# ------------------------------------------------------------------ anchors


def test_a_witness_known_from_elsewhere_vouches_for_what_it_cosigned(tmp_path: Path, swarm: toy.Swarm) -> None:
    path = cosigned_bundle(swarm, tmp_path / "bundle")
    public = toy.key_of("cedar").public
    word = verifier_key(origin(swarm.swarm, swarm["cedar"].id), public, COSIGNATURE)
    for key in (public.hex(), word):
        report = facts("ledger", "verify", str(path), "--witness", key)
        assert (report["verdict"], [row["key"] for row in report["witnesses"]]) == ("clean", [public.hex()])
        assert 0 < report["witnesses"][0]["entries"] <= report["entries"]
    told = gossip("ledger", "verify", str(path), "--witness", public.hex())
    assert f"witness {public.hex()[:12]} vouches for " in told
    stranger = toy.key_of("somebody else").public.hex()
    assert "FINDING" in gossip("ledger", "verify", str(path), "--witness", stranger, code=exits.FINDINGS)


def test_what_is_signed_and_not_here_is_said_in_lines_in_json_and_on_the_page(tmp_path: Path, swarm: toy.Swarm) -> None:
    later = a_swarm()
    birch, here = later["birch"], later["birch"].replica.size(later["birch"].id)
    birch.snapshot()
    note = birch.note(birch.id, here + 1, "birch")
    head = head_proof(birch.replica.tree(birch.id).prefix(here), note, birch.replica.tree(birch.id).consistency(here))
    longer = with_log(contents_of(swarm), birch.id, lambda log: replace(log, checkpoint=note, head=head))
    write_bundle(tmp_path / "bundle", longer)
    command = ("ledger", "verify", str(tmp_path / "bundle"), "--swarm", swarm.swarm)
    told = gossip(*command, "--html", str(tmp_path / "page.html"))
    said = f"its author signed {here + 1}, {here} are here"
    assert f"log {birch.id[:12]}: {said}\n" in told
    assert told.count("are here") == 1
    assert "; of 1 log more is signed than is here" in next(line for line in told.splitlines() if "CLEAN" in line)
    assert {log["peer"]: log["elsewhere"] for log in facts(*command)["logs"] if log["elsewhere"]} == {birch.id: 1}
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Of 1 log more is signed than is here." in page
    assert said in page
    assert said in gossip(*command, "--structure", code=exits.INCONCLUSIVE)


def test_a_checkpoint_kept_earlier_exposes_a_shortened_log(tmp_path: Path, swarm: toy.Swarm) -> None:
    shorter = a_swarm()
    kept = tmp_path / "kept"
    longer = contents_of(swarm)
    shorter["birch"].snapshot()  # one more than the bundle has
    kept.write_bytes(
        shorter["birch"].note(shorter["birch"].id, shorter["birch"].replica.size(shorter["birch"].id), "birch")
    )
    write_bundle(tmp_path / "bundle", longer)
    told = gossip("ledger", "verify", str(tmp_path / "bundle"), "--checkpoint", str(kept), code=exits.FINDINGS)
    size = swarm["birch"].replica.size(swarm["birch"].id)
    assert f"presents {size}" in told


def test_a_checkpoint_of_what_is_here_is_an_anchor(tmp_path: Path, bundle: Path, swarm: toy.Swarm) -> None:
    note = bundle / "logs" / swarm["birch"].id / "checkpoint"
    assert facts("ledger", "verify", str(bundle), "--checkpoint", str(note))["verdict"] == "clean"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--witness", "abc"), "--witness is no public key"),
        (("--witness", "00" * 32), "--witness is no public key"),
        (("--checkpoint", "/nowhere"), "cannot read /nowhere"),
        (("--checkpoint", __file__), "is no signed checkpoint"),
        (("--model", __file__), "is no exported model"),
        (("--parameters", "0"), "--parameters is not a positive number"),
        (("--structure", "--html", "x"), "--html needs a whole audit"),
        (
            ("--structure", "--witness", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
            "--witness needs a whole audit",
        ),
        (("--structure", "--model-hash", "0" * 64), "--model-hash needs a whole audit"),
    ],
)
def test_what_the_auditor_names_wrongly_is_a_mistake_and_no_finding(
    bundle: Path, words: tuple[str, ...], told: str
) -> None:
    said = gossip("ledger", "verify", str(bundle), *words, code=exits.USAGE)
    assert told in said
    assert said.count("\n") == 1


# ------------------------------------------------------------------ an invented swarm, an unreadable one, a large one


def test_a_wholly_invented_swarm_of_four_is_never_clean(tmp_path: Path, swarm: toy.Swarm) -> None:
    """Everything in it agrees, signatures included: it was made the same way as a true one."""
    invented = toy.Swarm(["birch", "cedar", "elder"], fold=toy.constants(norm0=1 << 21))
    invented["birch"].publish(np.ones(16) / 50)
    invented.exchange()
    path = written(invented, tmp_path / "invented")
    told = gossip("ledger", "verify", str(path), code=exits.INCONCLUSIVE)
    assert "INCONCLUSIVE: consistent with itself, but you named nothing to hold it against\n" in told
    known = (
        ("--swarm", swarm.swarm),
        ("--model-hash", swarm.founder.model_hash()),
        ("--witness", toy.key_of("fir").public.hex()),
    )
    for words in known:
        assert "FINDING" in gossip("ledger", "verify", str(path), *words, code=exits.FINDINGS)


def test_the_quick_look_is_never_clean(bundle: Path, swarm: toy.Swarm) -> None:
    words = ("ledger", "verify", str(bundle), "--swarm", swarm.swarm, "--structure")
    told = gossip(*words, code=exits.INCONCLUSIVE)
    assert "hang together; what they say was not looked at" in told
    tile = next(iter(sorted(bundle.glob("logs/*/tile/entries/*"))))
    tile = tile if tile.is_file() else next(iter(sorted(tile.iterdir())))
    tile.write_bytes(tile.read_bytes()[:-1] + b"x")
    report = facts(*words, code=exits.FINDINGS)
    assert str(tile.relative_to(bundle)) in [finding["file"] for finding in report["findings"]]


def test_the_quick_look_holds_swarm_and_checkpoints(tmp_path: Path, bundle: Path, swarm: toy.Swarm) -> None:
    """What needs no rules is held there, too, and nothing that is named is passed over in silence."""
    quick = ("ledger", "verify", str(bundle), "--structure")
    other = facts(*quick, "--swarm", "e" * 64, code=exits.FINDINGS)
    assert [finding["rule"] for finding in other["findings"]] == ["anchor"]
    birch, kept = swarm["birch"], tmp_path / "kept"
    size = birch.replica.size(birch.id)
    for known in (size, size - 1, 1):
        kept.write_bytes(birch.note(birch.id, known, "birch"))
        assert facts(*quick, "--checkpoint", str(kept), code=exits.INCONCLUSIVE)["findings"] == []

    longer, forked = a_swarm()["birch"], a_swarm()["birch"]
    longer.snapshot()
    kept.write_bytes(longer.note(birch.id, size + 1, "birch"))
    found = facts(*quick, "--checkpoint", str(kept), code=exits.FINDINGS)["findings"]
    assert [(one["rule"], one["log"], one["index"]) for one in found] == [("truncated", birch.id, size)]
    kept.write_bytes(sign(Checkpoint(origin(swarm.swarm, birch.id), size, b"r" * 32), toy.key_of("birch")))
    found = facts(*quick, "--checkpoint", str(kept), code=exits.FINDINGS)["findings"]
    assert [(one["rule"], one["index"]) for one in found] == [("fork", size - 1)]
    for name, signer in ((birch.id, "cedar"), ("f" * 64, "birch")):  # another's signature; a log that is not here
        kept.write_bytes(
            sign(Checkpoint(origin(swarm.swarm, name), size, forked.replica.root(birch.id, size)), toy.key_of(signer))
        )
        found = facts(*quick, "--checkpoint", str(kept), code=exits.FINDINGS)["findings"]
        assert [one["rule"] for one in found] == ["anchor"]


def test_a_bundle_that_cannot_be_read_at_all_is_reported_and_not_raised(tmp_path: Path, bundle: Path) -> None:
    (bundle / "bundle.json").write_bytes(b"{" * 100_000)
    page = tmp_path / "page.html"
    report = facts("ledger", "verify", str(bundle), "--swarm", "a" * 64, "--html", str(page), code=exits.FINDINGS)
    assert [finding["file"] for finding in report["findings"]] == ["bundle.json"]
    assert "bundle.json" in page.read_text(encoding="utf-8")
    for words in (("replay",), ("lineage",), ("without",)):
        gossip("ledger", *words, str(bundle), *(("x",) if words == ("without",) else ()), code=exits.FINDINGS)


def test_a_model_too_large_for_this_machine_is_said_to_be(bundle: Path, swarm: toy.Swarm) -> None:
    words = ("ledger", "verify", str(bundle), "--swarm", swarm.swarm, "--parameters", "8")
    assert "INCONCLUSIVE: the model was not replayed" in gossip(*words, code=exits.INCONCLUSIVE)
    assert facts(*words, code=exits.INCONCLUSIVE)["too_large"]


# ------------------------------------------------------------------ archives


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_is_a_bundle(tmp_path: Path, swarm: toy.Swarm, suffix: str) -> None:
    place, path = stored(tmp_path / "peer", swarm), str(tmp_path / f"bundle{suffix}")
    assert "wrote" in gossip("ledger", "bundle", "--dir", str(place), "--out", path)
    assert Path(path).is_file()
    assert facts("ledger", "verify", path, "--swarm", swarm.swarm)["verdict"] == "clean"
    assert facts("ledger", "lineage", path)["updates"] == 18
    assert facts("ledger", "log", path)["total"] == sum(swarm.founder.replica.heads().values())
    assert facts("ledger", "show", "birch/0", path)["hash"] == swarm["birch"].id
    assert facts("ledger", "prove", "birch/2", path)["index"] == 2


# ------------------------------------------------------------------ a model that leaves


def test_an_exported_model_is_rebuilt_from_the_ledger_byte_for_byte(tmp_path: Path, swarm: toy.Swarm) -> None:
    place, bundle = stored(tmp_path / "peer", swarm), str(written(swarm, tmp_path / "bundle"))
    told = facts("model", "export", str(place), "--out", str(tmp_path / "model"))
    assert told == {**facts("model", "export", bundle, "--out", str(tmp_path / "other")), "file": told["file"]}
    assert (tmp_path / "model").read_bytes() == (tmp_path / "other").read_bytes()
    verify = ("ledger", "verify", bundle, "--model", str(tmp_path / "model"))
    assert facts(*verify)["verdict"] == "clean"

    data = bytearray((tmp_path / "model").read_bytes())
    data[-3] ^= 1
    (tmp_path / "model").write_bytes(data)
    assert "FINDING" in gossip(*verify, code=exits.FINDINGS)


def test_the_snapshot_is_named_or_the_one_that_holds_most(tmp_path: Path, swarm: toy.Swarm) -> None:
    bundle = str(written(swarm, tmp_path / "bundle"))
    told = facts("model", "export", bundle, "--out", str(tmp_path / "model"))
    named = facts("model", "export", bundle, "--out", str(tmp_path / "b"), "--snapshot", f"{told['log']}/{told['seq']}")
    assert (named["model_hash"], named["updates"], named["final"]) == (swarm.founder.model_hash(), 18, False)
    for words, said in (
        (("--out", str(tmp_path / "model")), "name a file that does not exist yet"),
        (("--out", str(tmp_path / "c"), "--snapshot", "birch/0"), "is no snapshot"),
    ):
        assert said in gossip("model", "export", bundle, *words, code=exits.USAGE)
    assert "check   gossip ledger verify BUNDLE --model" in gossip(
        "model", "export", bundle, "--out", str(tmp_path / "d")
    )


def test_for_a_release_only_a_snapshot_that_witnesses_signed_will_do(tmp_path: Path, swarm: toy.Swarm) -> None:
    out = tmp_path / "model"
    bundle = str(written(swarm, tmp_path / "bundle"))
    told = gossip("model", "export", bundle, "--final", "--out", str(out), code=exits.INCONCLUSIVE)
    assert told.startswith("gossip: no snapshot here is final: a majority of the swarm's witnesses ")
    assert told.count("\n") == 1
    assert not out.exists()

    witnessed = toy.Swarm(["birch"], witnesses=["founder"])
    birch = witnessed["birch"]
    birch.publish(np.ones(16) / 50)
    witnessed.exchange()
    seq = birch.snapshot().seq
    witnessed.exchange()
    birch.final(seq, [witnessed.founder])
    later = birch.snapshot().seq  # newer, and nobody has signed it yet
    witnessed.exchange()
    bundle = str(written(witnessed, tmp_path / "witnessed"))
    told = gossip(
        "model", "export", bundle, "--final", "--snapshot", f"birch/{later}", "--out", str(out), code=exits.INCONCLUSIVE
    )
    assert "is not final" in told
    assert not out.exists()
    made = facts("model", "export", bundle, "--final", "--out", str(out))
    assert (made["seq"], made["final"]) == (seq, True)
    usual = gossip("model", "export", bundle, "--snapshot", f"birch/{later}", "--out", str(tmp_path / "usual"))
    assert "not final" in usual


# ------------------------------------------------------------------ on a terminal


def test_progress_is_for_a_terminal_alone(bundle: Path, swarm: toy.Swarm) -> None:
    """In a pipe nothing but the document; on a terminal's stderr at most a line that is gone at the end."""
    command = own_program("ledger", "verify", str(bundle), "--swarm", swarm.swarm, "--json")
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["verdict"] == "clean"
    ours, theirs = pty.openpty()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=own_environment(), check=True)
    os.close(theirs)
    assert json.loads(done.stdout)["verdict"] == "clean"
    os.close(ours)
