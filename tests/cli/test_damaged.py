"""A bundle with a broken file, asked anything: one line that names the file, exit code 1, and the same in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from tests.cli.test_ledger import a_swarm, facts, gossip
from tests.fold import toy
from tests.fold.bundles import written
from tests.ledger.authority import Authority


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    return a_swarm()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Authority(tmp_path_factory.mktemp("roots") / "authority").root


@pytest.fixture
def bundle(tmp_path: Path, swarm: toy.Swarm) -> Path:
    return written(swarm, tmp_path / "bundle")


def tile_of(bundle: Path, log: str) -> Path:
    return next(file for file in sorted((bundle / "logs" / log / "tile" / "entries").rglob("*")) if file.is_file())


def commands(bundle: Path, swarm: toy.Swarm, root: Path) -> list[tuple[str, ...]]:
    """Everything that reads a bundle, asked something that a whole one answers."""
    snapshot = f"{swarm['birch'].id}/{swarm['birch'].replica.size(swarm['birch'].id) - 1}"
    path = str(bundle)
    return [
        ("ledger", "log", path), ("ledger", "show", snapshot, path), ("ledger", "prove", snapshot, path),
        ("ledger", "lineage", path), ("ledger", "without", path, "cedar"),
        ("ledger", "state", path, snapshot, "--out", str(bundle.parent / "state")),
        ("ledger", "anchor", "verify", path, "--root", str(root)),
        ("ledger", "replay", path), ("ledger", "verify", path, "--swarm", swarm.swarm),
        ("ledger", "verify", path, "--structure"),
    ]  # fmt: skip


def damage(bundle: Path, swarm: toy.Swarm, how: str) -> str:
    """Break one file, and name it."""
    if how == "rubbish bundle.json":
        (bundle / "bundle.json").write_bytes(b"{" * 1000)
        return "bundle.json"
    log = swarm.founder_id if how == "no genesis" else swarm["birch"].id
    file = tile_of(bundle, log)
    data = bytearray(file.read_bytes())
    if how == "20 bytes short":
        del data[-20:]
    elif how == "no genesis":
        data[100] ^= 1
    else:
        data[-100] ^= 1
    file.write_bytes(data)
    return str(file.relative_to(bundle))


@pytest.mark.parametrize("how", ["20 bytes short", "one flipped byte", "no genesis", "rubbish bundle.json"])
def test_whatever_is_asked_of_a_damaged_bundle_the_file_is_named_with_exit_code_1(
    bundle: Path, swarm: toy.Swarm, root: Path, how: str
) -> None:
    file = damage(bundle, swarm, how)
    for words in commands(bundle, swarm, root):
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == exits.FINDINGS, (words, done.output)
        told = [line for line in done.output.splitlines() if "FINDING " in line]
        assert file in " ".join(told), (words, done.output)
        if words[1] in ("log", "show", "prove", "lineage", "without", "state"):
            assert done.stderr.count("\n") == 1, (words, done.stderr)
        report = json.loads(gossip(*words, "--json", code=exits.FINDINGS))
        assert file in [finding["file"] for finding in report["findings"]], words


@pytest.mark.parametrize("how", ["no genesis", "rubbish bundle.json"])
def test_no_model_is_taken_from_a_bundle_without_a_beginning(bundle: Path, swarm: toy.Swarm, how: str) -> None:
    file, out = damage(bundle, swarm, how), bundle.parent / "model"
    told = gossip("model", "export", str(bundle), "--out", str(out), code=exits.FINDINGS)
    assert (told.count("\n"), file in told, out.exists()) == (1, True, False)


def test_what_holds_is_still_shown_and_so_is_the_entry_that_does_not(bundle: Path, swarm: toy.Swarm) -> None:
    whole = facts("ledger", "log", str(bundle), "-n", "0")
    assert whole["findings"] == []
    damage(bundle, swarm, "one flipped byte")
    listed = facts("ledger", "log", str(bundle), "-n", "0", code=exits.FINDINGS)
    assert 0 < listed["total"] < whole["total"]
    cedar = facts("ledger", "show", "cedar/0", str(bundle), code=exits.FINDINGS)
    assert cedar["hash"] == swarm["cedar"].id
    proof = facts("ledger", "prove", "cedar/2", str(bundle), code=exits.FINDINGS)
    assert proof["index"] == 2  # its log is whole, and the proof holds by itself
    assert "proof" not in facts("ledger", "prove", "birch/2", str(bundle), code=exits.FINDINGS)


def test_an_archive_that_is_none_is_a_finding_too(tmp_path: Path) -> None:
    file = tmp_path / "bundle.zip"
    file.write_bytes(b"rubbish")
    for words in (("log",), ("lineage",), ("verify",)):
        report = facts("ledger", *words, str(file), code=exits.FINDINGS)
        assert len(report["findings"]) == 1
    assert "bundle.zip" in gossip("ledger", "log", str(file), code=exits.FINDINGS)
