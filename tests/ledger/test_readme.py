"""The README's last two parts, on logs with cosignatures: openssl, and a Go program that knows only sumdb/note.

tests/ledger/test_bundle.py runs the README's commands on whole bundles.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.bundle_readme import GO_PROGRAM, readme
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.keys import PrivateKey, public_pem
from ledger.merkle import Tree, leaf_hash
from ledger.note import COSIGNATURE, verifier_key

SWARM = "ab" * 32
PEERS = [f"{number:02x}" * 32 for number in range(1, 5)]
KEYS = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(1, 5)]
NAMES = [origin(SWARM, peer) for peer in PEERS]
TREE = Tree(leaf_hash(b"%d" % index) for index in range(14))
LOGS = [f"logs/{peer}" for peer in PEERS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four logs; the first is witnessed by the other three, at a smaller size than its checkpoint."""
    for peer, key, name in zip(PEERS, KEYS, NAMES, strict=True):
        place = tmp_path / "logs" / peer
        place.mkdir(parents=True)
        (place / "key.pem").write_bytes(public_pem(key.public))
        (place / "checkpoint").write_bytes(sign(Checkpoint(name, 14, TREE.root()), key))
    older = Checkpoint(NAMES[0], 9, TREE.root(9))
    lines = [cosign(older, NAMES[n], KEYS[n], 1_767_225_600 + n) for n in (1, 2, 3)]
    (tmp_path / LOGS[0] / "cosigned").write_bytes(add_cosignatures(sign(older, KEYS[0]), lines))
    (tmp_path / "README.txt").write_text(readme(SWARM, PEERS[0]))
    return tmp_path


def part(folder: Path, number: int) -> str:
    """The commands of one part of the README, as somebody types them."""
    text = (folder / "README.txt").read_text().split(f"\n{number}. ")[1].split(f"\n{number + 1}. ")[0]
    return "t=$(mktemp -d)\n" + "\n".join(line[4:] for line in text.split("\n") if line.startswith("    "))


def run(folder: Path, command: str) -> list[str]:
    if shutil.which("openssl") is None:
        pytest.skip("NOT RUN: no openssl on this machine")
    done = subprocess.run(["sh"], input=command, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


GOOD = "Signature Verified Successfully"


def test_openssl_verifies_checkpoints_and_cosignatures_as_the_readme_says(folder: Path) -> None:
    assert run(folder, part(folder, 5)) == [GOOD] * 4
    assert run(folder, part(folder, 7)) == [GOOD] * 3


@pytest.mark.parametrize("line", range(3))
def test_openssl_refuses_what_is_no_longer_what_was_cosigned(folder: Path, line: int) -> None:
    """The log's name, its size, its root: the author's own signature is not looked at here."""
    file = folder / LOGS[0] / "cosigned"
    lines = file.read_text().split("\n")
    lines[line] = {0: NAMES[1], 1: "8", 2: "A" * 43 + "="}[line]
    file.write_text("\n".join(lines))
    found = run(folder, part(folder, 7))
    assert GOOD not in found
    assert sum("Verification Failure" in one for one in found) == 3


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's program, cut out of it as it says, and built against the module's source that comes with Go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("NOT RUN: no go on this machine")
    root = subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    vendored = Path(root) / "src" / "cmd" / "vendor" / "golang.org" / "x"
    if not (vendored / "mod" / "sumdb" / "note").is_dir():
        pytest.skip(f"NOT RUN: no golang.org/x/mod/sumdb/note under {vendored}")
    place = tmp_path_factory.mktemp("go")
    for module in ("mod/sumdb/note", "crypto/ed25519"):
        if (vendored / module).is_dir():
            shutil.copytree(vendored / module, place / "src" / "golang.org" / "x" / module)
    (place / "src" / "check").mkdir()
    (place / "README.txt").write_text(readme(SWARM, PEERS[0]))
    cut = next(line for line in readme(SWARM, PEERS[0]).split("\n") if line.startswith("  mkdir")).split("&&")[1]
    command = cut.replace("$t/check", str(place / "src" / "check"))
    subprocess.run(["sh", "-c", command], cwd=place, check=True)
    assert (place / "src" / "check" / "main.go").read_text() == GO_PROGRAM
    settings = {**os.environ, "GO111MODULE": "off", "GOPATH": str(place), "GOFLAGS": "", "GOPROXY": "off"}
    settings.setdefault("GOCACHE", str(place / "cache"))
    built = subprocess.run(
        [go, "build", "-o", str(place / "program"), "check"], env=settings, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return place / "program"


def test_openssl_passes_over_witnesses_that_are_not_here(folder: Path) -> None:
    shutil.rmtree(folder / LOGS[3])
    assert run(folder, part(folder, 7)) == [GOOD] * 2


def test_go_verifies_checkpoints_and_cosignatures(folder: Path, program: Path) -> None:
    done = subprocess.run([program, *LOGS], cwd=folder, capture_output=True, text=True, check=False)
    counts = [3, 0, 0, 0]
    assert done.stdout.splitlines() == [
        f"{log} size 14 cosignatures {count}" for log, count in zip(LOGS, counts, strict=True)
    ]
    assert done.returncode == 0


@pytest.mark.parametrize("file", ["checkpoint", "cosigned", "key.pem"])
def test_go_finds_a_change(folder: Path, program: Path, file: str) -> None:
    place = folder / LOGS[0] / file
    if file == "key.pem":
        place.write_bytes(public_pem(KEYS[1].public))
    else:
        place.write_text(place.read_text().replace("\n14\n", "\n13\n").replace("\n9\n", "\n8\n"))
    done = subprocess.run([program, *LOGS], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{LOGS[0]}/{file}".replace("key.pem", "checkpoint") in done.stdout


def test_go_finds_a_cosignature_that_is_wrong(folder: Path, program: Path) -> None:
    file = folder / LOGS[0] / "cosigned"
    text = file.read_text()
    at = len(text) - 20
    file.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    done = subprocess.run([program, *LOGS], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, "cosigned invalid signature" in done.stdout) == (1, True)


def test_our_verifier_keys_are_words_that_sumdb_note_reads(program: Path) -> None:
    """The program makes its own of ours: name, hash and key fit together there only if they do here."""
    word = verifier_key(NAMES[0], KEYS[0].public)
    assert word.startswith(f"{NAMES[0]}+")
    assert verifier_key(NAMES[0], KEYS[0].public, COSIGNATURE) != word
    place = program.parent / "src" / "keys"
    place.mkdir(exist_ok=True)
    (place / "main.go").write_text(
        'package main\n\nimport (\n"fmt"\n"os"\n"golang.org/x/mod/sumdb/note"\n)\n\n'
        "func main() {\nv, err := note.NewVerifier(os.Args[1])\nif err != nil {\npanic(err)\n}\n"
        'fmt.Printf("%s %08x", v.Name(), v.KeyHash())\n}\n'
    )
    settings = {**os.environ, "GO111MODULE": "off", "GOPATH": str(program.parent), "GOFLAGS": ""}
    settings.setdefault("GOCACHE", str(program.parent / "cache"))
    done = subprocess.run(
        ["go", "run", "keys", word], env=settings, cwd=place, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{NAMES[0]} {word.split('+')[1]}", done.stderr


def rotated(folder: Path) -> None:
    """The second log's owner has changed its key since it witnessed the first; both keys are in its entries."""
    entries = folder / LOGS[1] / "tile" / "entries" / "000.p"
    entries.mkdir(parents=True)
    later = PrivateKey.from_seed(bytes([9]) * 32)
    (entries / "2").write_text("".join(f'  {{"key":"{key.public.hex()}"}}' for key in (KEYS[1], later)))
    (folder / LOGS[1] / "key.pem").write_bytes(public_pem(later.public))
    (folder / LOGS[1] / "checkpoint").write_bytes(sign(Checkpoint(NAMES[1], 14, TREE.root()), later))


def test_openssl_finds_the_key_that_a_witness_had_when_it_cosigned(folder: Path) -> None:
    rotated(folder)
    assert run(folder, part(folder, 5)) == [GOOD] * 4
    assert run(folder, part(folder, 7)) == [GOOD] * 3
    shutil.rmtree(folder / LOGS[1] / "tile")
    assert sorted(run(folder, part(folder, 7))) == [GOOD, GOOD, f"Verification Failure: no key of {NAMES[1]} made that"]


def test_go_finds_the_key_that_a_witness_had_when_it_cosigned(folder: Path, program: Path) -> None:
    rotated(folder)
    done = subprocess.run([program, *LOGS], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"{LOGS[0]} size 14 cosignatures 3")
