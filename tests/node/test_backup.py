"""What a backup is made of, and what one that was made by hand is refused for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gossip import backup as backups
from gossip import directory as places
from gossip.identity import KeyFiles
from gossip.node.alone import change_key
from ledger.canonical import encode, encode_entry
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.private_files import Passphrase
from tests.fold import toy
from tests.node.test_identity import founder

SECRET = Passphrase("correct horse battery")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backups._COST, "n", 1024)


def content_of(place: Path) -> dict[str, Any]:
    content = msgspec.json.decode(backups.make(place, None, ("10.0.0.1:4711",)))
    assert isinstance(content, dict)
    return content


def opened(path: Path, content: dict[str, Any]) -> backups.Backup:
    backups.write(path, encode(content), SECRET)
    return backups.read(path, SECRET)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_backup_begins_with_the_enrolment_of_the_peer_it_is_of(tmp_path: Path) -> None:
    content = content_of(founder(tmp_path / "peer"))
    assert opened(tmp_path / "whole", content).own == content["own"]
    genesis, enrolment = content["entries"]
    stranger = text(toy.enrol(content["swarm"], "ann"))
    chain = {**toy.CHAIN, "swarm": content["swarm"], "seq": 2, "prev": content["own"]}
    member = encode_entry(toy.Member(**chain, peer="ab" * 32, role="trainer", expires=0))
    for number, changed in enumerate(
        (
            {"entries": [genesis]},  # no key in it
            {"entries": [stranger]},  # another peer's log
            {"own": "ab" * 32},
            {"entries": [genesis, enrolment, text(member)]},  # more than the beginning
            {"entries": [genesis, enrolment, text(member)], "own": toy.entry_hash(member)},  # named by no enrolment
        )
    ):
        with pytest.raises(LocalError, match="own enrolment"):
            opened(tmp_path / str(number), {**content, **changed})


@pytest.mark.parametrize("key", ["01" + "00" * 31, "00" * 32, "ab", "ff" * 32, "zz" * 32])
def test_members_in_a_backup_have_keys_that_somebody_can_hold(tmp_path: Path, key: str) -> None:
    """Under a key of small order anybody could come in as the member that it stands for."""
    content = content_of(founder(tmp_path / "peer"))
    good = PrivateKey.from_seed(b"k" * 32).public.hex()
    assert opened(tmp_path / "good", {**content, "known": [good]}).own == content["own"]
    with pytest.raises(LocalError, match="not a backup"):
        opened(tmp_path / "bad", {**content, "known": [good, key]})


def test_in_the_middle_of_a_change_of_keys_no_backup_is_made(tmp_path: Path) -> None:
    """One with the old pair could never recover the peer; after the next start there is one pair again."""
    place, other = founder(tmp_path / "peer"), founder(tmp_path / "other")
    old = {path: path.read_bytes() for path in (places.current_key_path(place), places.next_key_path(place))}
    change_key(place)
    new = {path: path.read_bytes() for path in old}
    current, following = old
    strange = places.next_key_path(other).read_bytes()
    for one, two in ((old[current], old[following]), (old[current], new[following]), (new[current], strange)):
        for path, data in ((current, one), (following, two)):
            path.write_bytes(data)
        with pytest.raises(LocalError, match="a change of keys is not finished"):
            backups.make(place, None, ())
    for path, data in new.items():
        path.write_bytes(data)
    assert KeyFiles(place).current == current
    assert backups.make(place, None, ())
