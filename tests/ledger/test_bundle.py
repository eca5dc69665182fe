"""Bundles: what is written reads back, common tools agree, and every flipped byte is found and named."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.bundle import BundleContents, BundleError, BundleLog, write_bundle
from ledger.bundle_files import read_bundle
from ledger.canonical import encode_entry, entry_hash
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import Data, Enrol
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, key_digest
from ledger.merkle import Tree, leaf_hash
from ledger.policy import DEFAULT_POLICY, Policy
from ledger.seals import OtherEntries, open_seal
from tests.fold.bundles import stream_of
from tests.ledger.test_canonical import GENESIS

POLICY = Policy.parse(DEFAULT_POLICY)
KEYS = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(3)]
BLOBS = {sha256(data).hexdigest(): data for data in (b"delta one", b"delta two" * 100, b"")}


def blob_of(name: str, limit: int = 0) -> bytes | None:
    return BLOBS[name]


def a_swarm() -> tuple[BundleContents, list[list[bytes]]]:
    """The founder with 300 entries (a full tile and a partial one), and two peers with 1 and 3."""
    genesis = encode_entry(msgspec.structs.replace(GENESIS, policy=POLICY.hash, model='{"policy":"' + "00" * 32 + '"}'))
    swarm = entry_hash(genesis)
    chains = [a_log(swarm, KEYS[0], [genesis], 300), a_log(swarm, KEYS[1], [], 1), a_log(swarm, KEYS[2], [], 3)]
    peers = [entry_hash(chains[0][1]), entry_hash(chains[1][0]), entry_hash(chains[2][0])]
    logs = []
    for peer, chain, key in zip(peers, chains, KEYS, strict=True):
        root = Tree(map(leaf_hash, chain)).root()
        note = sign(Checkpoint(origin(swarm, peer), len(chain), root), key)
        logs.append(BundleLog(peer, len(chain), note, stream_of(chain)))
    contents = BundleContents(swarm, peers[0], "ef" * 32, POLICY.text.encode(), tuple(logs), lambda: BLOBS, blob_of)
    return contents, chains


def a_log(swarm: str, key: PrivateKey, begin: list[bytes], size: int) -> list[bytes]:
    chain = list(begin)
    while len(chain) < size:
        prev = entry_hash(chain[-1]) if chain else ""
        link: dict[str, Any] = {"v": 1, "swarm": swarm, "seq": len(chain), "prev": prev, "time": 0}
        link |= {"meets": [], "seen": [], "heads": sha256(b"").hexdigest()}
        if len(chain) == len(begin):
            entry = Enrol(**link, key=key.public.hex(), next=key_digest(key.public), sponsor="", name="Ann")
            chain.append(encode_entry(entry))
        else:
            facts: dict[str, Any] = {"records": 1, "labels": {}, "duplicates": 0, "features": "", "sources": []}
            chain.append(encode_entry(Data(**link, **facts, root=swarm, zone="private")))
    return chain


CONTENTS, CHAINS = a_swarm()
FOUNDER = f"logs/{CONTENTS.founder}"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle"
    write_bundle(path, CONTENTS)
    return path


def audit(path: Path) -> Iterator[str]:
    """The files of every finding that the reader alone can make, as an auditor would drive it."""
    try:
        contents = read_bundle(path)
    except RemoteError as error:
        yield error.file if isinstance(error, BundleError) else "bundle.json"
        return
    yield from (problem.file for problem in contents.inspect())
    if sha256(contents.policy).hexdigest() != POLICY.hash:
        yield "policy.toml"
    if (contents.swarm, contents.founder, contents.model_hash) != (CONTENTS.swarm, CONTENTS.founder, "ef" * 32):
        yield "bundle.json"
    expected = {log.peer: log.size for log in CONTENTS.logs}
    for log in contents.logs:
        if expected.get(log.peer) != log.size:
            yield "bundle.json"
            continue
        key = KEYS[[known.peer for known in CONTENTS.logs].index(log.peer)].public
        tree = Tree()
        try:
            for entry in log.entries():
                tree.append(leaf_hash(entry))
        except BundleError as error:
            yield error.file
            continue
        try:
            open_seal(log, origin(CONTENTS.swarm, log.peer), lambda size, key=key: key, tree)
        except BundleError as error:
            yield error.file
        except OtherEntries:
            yield f"logs/{log.peer}/tile/entries"
        yield from (problem.file for problem in log.inspect(tree, lambda size, key=key: key))
    for name in contents.blobs():
        try:
            contents.blob(name)
        except BundleError as error:
            yield error.file
    if set(contents.blobs()) != set(BLOBS):
        yield "blobs"


def test_what_is_written_reads_back(bundle: Path) -> None:
    contents = read_bundle(bundle)
    assert (contents.swarm, contents.founder, contents.model_hash) == (CONTENTS.swarm, CONTENTS.founder, "ef" * 32)
    assert contents.policy == POLICY.text.encode()
    assert [log.peer for log in contents.logs] == sorted(log.peer for log in CONTENTS.logs)
    for log in contents.logs:
        known = next(item for item in CONTENTS.logs if item.peer == log.peer)
        assert list(log.entries()) == list(known.entries())
        assert (log.size, log.checkpoint) == (known.size, known.checkpoint)
    assert {name: contents.blob(name) for name in contents.blobs()} == BLOBS
    assert contents.blob("00" * 32) is None
    assert list(audit(bundle)) == []


def test_the_files_are_those_of_the_drawing(bundle: Path) -> None:
    files = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    assert {file for file in files if not file.startswith(("logs/", "blobs/"))} == {
        "README.txt",
        "bundle.json",
        "policy.toml",
    }
    assert {file for file in files if file.startswith(FOUNDER)} == {
        f"{FOUNDER}/{file}"
        for file in (
            "checkpoint",
            "head.tlog-proof",
            "key.pem",
            "tile/entries/000",
            "tile/entries/001.p/44",
            "tile/0/000",
            "tile/0/001.p/44",
            "tile/1/000.p/1",
        )
    }


# ------------------------------------------------------------------ common tools


def readme_commands(bundle: Path) -> str:
    lines = (bundle / "README.txt").read_text().split("\n")
    return "\n".join(line[4:] for line in lines if line.startswith("    ") and not line.startswith("    gossip "))


def run_readme(bundle: Path) -> list[str]:
    if shutil.which("openssl") is None or shutil.which("sha256sum") is None:
        pytest.skip("NOT RUN: no openssl or sha256sum on this machine")
    done = subprocess.run(
        ["sh"], input=readme_commands(bundle), cwd=bundle, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).splitlines()


def test_the_commands_of_the_readme_work_as_it_says(bundle: Path) -> None:
    lines = run_readme(bundle)
    genesis = entry_hash(CHAINS[0][0])
    assert lines == [
        f"{CONTENTS.swarm}  -",
        f'"policy":"{POLICY.hash}"',
        f"{POLICY.hash}  policy.toml",
        *["enrolment OK"] * 3,
        *["Signature Verified Successfully"] * 3,
        f'"prev":"{genesis}"',
        f"{genesis}  -",
    ]
    assert list(audit(bundle)) == []  # they left nothing behind


def test_the_readme_works_for_a_swarm_of_one_without_updates(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", replace(CONTENTS, logs=CONTENTS.logs[:1], blobs=tuple))
    assert "enrolment OK" in run_readme(tmp_path / "b")
    assert not any("FAILED" in line or "rror" in line for line in run_readme(tmp_path / "b"))


@pytest.mark.parametrize(
    ("file", "sign"),
    [
        ("blobs/" + next(iter(BLOBS)), "FAILED"),
        (f"logs/{CONTENTS.logs[1].peer}/checkpoint", "Signature Verification Failure"),
        (f"logs/{CONTENTS.logs[1].peer}/tile/entries/000.p/1", "FAILED"),
    ],
)
def test_the_commands_of_the_readme_find_a_change(bundle: Path, file: str, sign: str) -> None:
    flip(bundle / file, -20 if "checkpoint" in file else 5)
    lines = run_readme(bundle)
    assert any(sign in line for line in lines), lines


# ------------------------------------------------------------------ changed bundles


def flip(path: Path, at: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_every_flipped_byte_is_found_and_its_file_named(bundle: Path) -> None:
    """A sweep over every file: 12 seeded places in each, the last byte lost, and one added."""
    rng = random.Random(7)
    for path in sorted(file for file in bundle.rglob("*") if file.is_file()):
        file, good = path.relative_to(bundle).as_posix(), path.read_bytes()
        places = [rng.randrange(len(good)) for _ in range(12)] if good else []
        bad = [bytes([*good[:at], good[at] ^ 1 << rng.randrange(8), *good[at + 1 :]]) for at in places]
        for data in [*bad, good[:-1], good + b"\n"]:
            if data == good:
                continue
            path.write_bytes(data)
            found = list(audit(bundle))
            assert any(name and file.startswith(name) for name in found), (file, found)
        path.write_bytes(good)
    assert list(audit(bundle)) == []


def test_a_missing_file_is_named(bundle: Path) -> None:
    for path in sorted(file for file in bundle.rglob("*") if file.is_file() and file.name != "bundle.json"):
        file = path.relative_to(bundle).as_posix()
        path.rename(bundle.parent / "aside")
        assert any(file.startswith(name) for name in audit(bundle)), file
        (bundle.parent / "aside").rename(path)


@pytest.mark.parametrize(
    "file",
    ["virus.sh", "logs/x", "blobs/readme", f"logs/{CONTENTS.founder}/tile/0/000.p/3", f"logs/{CONTENTS.founder}/x"],
)
def test_a_stray_file_is_named(bundle: Path, file: str) -> None:
    (bundle / file).parent.mkdir(exist_ok=True)
    (bundle / file).write_bytes(b"x")
    assert list(audit(bundle)) == [file]


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="such a path cannot be made here")
def test_folders_within_folders_are_named_and_not_followed(bundle: Path) -> None:
    """1,500 of them: more than Python recurses, and a path that no system opens."""
    log = read_bundle(bundle).logs[0].peer
    at = os.open(bundle / "logs" / log / "tile", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        assert list(audit(bundle)) == [f"logs/{log}/tile" + "/d" * 8]
    finally:
        subprocess.run(["rm", "-r", str(bundle)], check=True)  # which pytest could not


def test_a_link_among_the_tiles_is_named(bundle: Path, tmp_path: Path) -> None:
    place = f"logs/{read_bundle(bundle).logs[0].peer}/tile"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary").write_bytes(b"x")
    (bundle / place / "x000").symlink_to(tmp_path / "home")
    assert list(audit(bundle)) == [f"{place}/x000"]


def test_names_cannot_reach_a_terminal_raw(bundle: Path) -> None:
    (bundle / "\x1b[31mred").write_bytes(b"")
    assert list(audit(bundle)) == ["\\x1b[31mred"]


def test_links_pipes_and_giants_are_refused_without_reading_them(bundle: Path) -> None:
    name = next(iter(BLOBS))
    blob, policy, checkpoint = (
        bundle / "blobs" / name,
        bundle / "policy.toml",
        bundle / "logs" / CONTENTS.founder / "checkpoint",
    )
    blob.unlink()
    blob.symlink_to("/etc/hostname")
    policy.unlink()
    os.mkfifo(policy)
    with checkpoint.open("r+b") as file:
        file.truncate(1 << 40)  # a sparse file of a terabyte
    found = list(audit(bundle))
    assert {f"blobs/{name}", "policy.toml", f"{FOUNDER}/checkpoint"} <= set(found)


@pytest.mark.parametrize("place", ["logs", "blobs", "logs/LOG", "logs/LOG/tile", "logs/LOG/tile/entries"])
def test_a_folder_that_is_a_link_leads_nowhere(bundle: Path, tmp_path: Path, place: str) -> None:
    """Whatever lies behind it is the auditor's own: not read, not listed, not named in a report that is passed on."""
    (tmp_path / "home" / "private").mkdir(parents=True)
    (tmp_path / "home" / "diary").write_text("mine")
    log = read_bundle(bundle).logs[0].peer
    folder = bundle / place.replace("LOG", log)
    shutil.move(folder, tmp_path / "home" / "moved")  # even if what is behind the link would do
    folder.symlink_to(tmp_path / "home" / "moved")
    found = set(audit(bundle))
    assert any(file.startswith(place.replace("LOG", log)) for file in found)
    folder.unlink()
    folder.symlink_to(tmp_path / "home")
    assert not [file for file in audit(bundle) if "diary" in file or "private" in file]


def test_the_way_to_a_bundle_may_be_a_link(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    assert list(audit(tmp_path / "link")) == []


def test_a_manifest_that_lies_about_sizes_costs_nothing(bundle: Path) -> None:
    text = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(text.replace('"size":300', '"size":9007199254740991'))
    contents = read_bundle(bundle)
    assert [problem.file for problem in contents.inspect()] == ["bundle.json"]
    log = next(log for log in contents.logs if log.peer == CONTENTS.founder)
    with pytest.raises(BundleError, match="tile/entries/001"):
        list(log.entries())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format":"gossip-bundle/2"', '"format":"gossip-bundle/1"'),
        ('"size":300', '"size":0'),
        ('"size":300', '"size":-1'),
        (CONTENTS.founder, "../" * 21 + "x"),
        ('"logs":[', '"logs": ['),
        ('"swarm"', '"more":1,"swarm"'),
    ],
)
def test_a_wrong_manifest_is_refused(bundle: Path, old: str, new: str) -> None:
    text = (bundle / "bundle.json").read_text()
    assert old in text
    (bundle / "bundle.json").write_text(text.replace(old, new))
    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)
    assert caught.value.file == "bundle.json"


# ------------------------------------------------------------------ writing


def test_a_bundle_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    log = CONTENTS.logs[0]
    wrong = [
        replace(CONTENTS, logs=(replace(log, size=299),)),
        replace(CONTENTS, logs=(replace(log, size=301),)),
        replace(CONTENTS, logs=(replace(log, checkpoint=CONTENTS.logs[1].checkpoint),)),
        replace(CONTENTS, logs=(replace(log, entries=stream_of(CHAINS[0][2:] + CHAINS[0][:2])),)),
    ]
    for contents in wrong:
        with pytest.raises((LocalError, RemoteError)):
            write_bundle(tmp_path / "bundle", contents)
        assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_never_written_over_anything(bundle: Path) -> None:
    with pytest.raises(LocalError, match="exists already"):
        write_bundle(bundle, CONTENTS)
    assert list(audit(bundle)) == []


def test_a_folder_that_is_no_bundle_is_our_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="is not a bundle"):
        read_bundle(tmp_path)
    with pytest.raises(LocalError, match="is not a bundle"):
        read_bundle(tmp_path / "nowhere")


def test_an_erased_blob_is_absent_not_wrong(tmp_path: Path) -> None:
    gone = next(iter(BLOBS))
    write_bundle(tmp_path / "b", replace(CONTENTS, blob=lambda name, limit=0: None if name == gone else BLOBS[name]))
    assert read_bundle(tmp_path / "b").blob(gone) is None
