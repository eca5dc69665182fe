"""`gossip ledger anchor` as it is typed: a query, an authority's answer, an entry, and what an auditor makes of it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import anchoring, control, exits, render
from cli.app import app
from gossip import directory as places
from gossip.node import Node, NodeConfig
from gossip.node.alone import change_key
from gossip.setup import create_swarm
from ledger.anchors import Proven, anchors_in
from ledger.bundle import write_bundle
from ledger.bundle_files import open_bundle
from ledger.canonical import decode_entry
from ledger.checkpoint import open_note, parse_checkpoint
from ledger.entry import Anchor
from ledger.errors import LocalError
from ledger.private_files import Passphrase
from ledger.store import Store
from ledger.timestamp import load_roots
from tests.fold import toy
from tests.ledger.authority import Authority
from tests.ledger.test_timestamp import anchor, bundle_of, checkpoint_of, stamped
from tests.node.test_identity import let_in

MODEL = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text()
SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ts") / "honest")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return founded(tmp_path / "home" / "elm")


def founded(place: Path, passphrase: Passphrase | None = None) -> Path:
    """A founder's directory with three entries, signed for."""
    create_swarm(place, name=place.name, task="table", model_text=MODEL, peer_name="ann", seed=1, passphrase=passphrase)
    change_key(place, passphrase)
    return place


def gossip(*words: object, code: int = exits.OK) -> str:
    """What is printed; if it fails, the one line that says why."""
    done = CliRunner().invoke(app, ["ledger", "anchor", *map(str, words)])
    assert done.exit_code == code, done.output
    if code in (exits.USAGE, exits.FAILED):
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
        return done.stderr
    return done.stdout


def entries(place: Path) -> list[Any]:
    with Store.open_readonly(places.store_path(place)) as store:
        return [decode_entry(data) for data in store.entries(store.meta("self").decode())]


def asked(authority: Authority, name: str = "query") -> Path:
    """A query as a file, and beside it the authority's answer, which is given."""
    query = Path(f"{name}.tsq")
    gossip("request", "--out", query)
    answer = query.with_suffix(".tsr")
    answer.write_bytes(authority.answer(query.read_bytes()))
    return answer


# ------------------------------------------------------------------ asking and adding


def test_a_checkpoint_is_stamped_and_the_stamp_is_in_the_log_signed_for(place: Path, authority: Authority) -> None:
    told = gossip("request")
    query = Path("elm-3.tsq")
    assert "--data-binary @elm-3.tsq -o elm-3.tsr" in told
    answer = query.with_suffix(".tsr")
    answer.write_bytes(authority.answer(query.read_bytes()))
    told = gossip("add", answer, "--root", authority.root)
    assert "the first 3 entries existed before " in told
    assert "CN=signer of honest" in told
    assert "entry   3" in told
    *_, entry = entries(place)
    assert isinstance(entry, Anchor)
    with Store.open_readonly(places.store_path(place)) as store:
        own = store.meta("self").decode()
        token, kept = store.blob(entry.token), store.checkpoint(own)
        assert kept is not None
        assert token is not None
        assert kept.size == 4
        root = store.tree(own).root(3)
    assert answer.read_bytes().endswith(token)
    _, signed = parse_checkpoint(kept.note)
    body = type(signed)(signed.origin, 3, root).body()
    assert authority.accepts(token, body)  # openssl agrees, with nothing of ours
    done = change_key(place)  # and the log goes on, under another key
    assert done.seq == 4
    assert open_note(kept.note, done.old).size == 4


def test_where_there_are_others_to_ask_it_is_not_added_without_asking(place: Path, authority: Authority) -> None:
    let_in(place)
    answer, before = asked(authority), len(entries(place))
    assert "--offline if nobody else is up" in gossip("add", answer, "--root", authority.root, code=exits.USAGE)
    assert len(entries(place)) == before
    gossip("add", answer, "--root", authority.root, "--offline")
    assert isinstance(entries(place)[before], Anchor)


def test_facts_as_json(place: Path, authority: Authority) -> None:
    facts = json.loads(gossip("request", "--out", "a.tsq", "--json"))
    assert (facts["file"], facts["size"]) == ("a.tsq", 3)
    Path("a.tsr").write_bytes(authority.answer(Path("a.tsq").read_bytes()))
    facts = json.loads(gossip("add", "a.tsr", "--json"))
    assert (facts["size"], facts["seq"], facts["verified"]) == (3, 3, False)


def test_without_a_root_it_says_that_nobody_checked_the_signature(place: Path, authority: Authority) -> None:
    told = gossip("add", asked(authority))
    assert "are said to have existed before" in told
    assert "was not checked: --root CERT.pem" in told


def test_answers_may_come_late_and_in_any_order(place: Path, authority: Authority) -> None:
    first = asked(authority, "first")
    gossip("add", asked(authority, "second"), "--root", authority.root)
    gossip("add", first, "--root", authority.root)
    assert [entry.size for entry in entries(place) if isinstance(entry, Anchor)] == [3, 3]


def test_no_file_is_overwritten(place: Path) -> None:
    Path("mine.tsq").write_text("mine")
    assert "already" in gossip("request", "--out", "mine.tsq", code=exits.USAGE)
    assert Path("mine.tsq").read_text() == "mine"


def test_locked_keys_are_opened_with_their_passphrase(
    place: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.private_files.ROUNDS", 4096)
    locked = founded(place.parent / "oak", Passphrase(SECRET))
    secret = Path("secret")
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    gossip("request", "oak", "--out", "oak.tsq")
    Path("oak.tsr").write_bytes(authority.answer(Path("oak.tsq").read_bytes()))
    gossip("add", "oak.tsr", "oak", code=exits.USAGE)
    assert not any(isinstance(entry, Anchor) for entry in entries(locked))
    gossip("add", "oak.tsr", "oak", "--passphrase-file", secret)
    assert isinstance(entries(locked)[-1], Anchor)


# ------------------------------------------------------------------ what is refused


def altered(answer: Path) -> Path:
    data = bytearray(answer.read_bytes())
    data[-10] ^= 1  # in the signature
    answer.write_bytes(data)
    return answer


def test_whatever_is_wrong_is_one_line_and_nothing_is_written(
    place: Path, authority: Authority, tmp_path: Path
) -> None:
    answer = asked(authority)
    good, before = answer.read_bytes(), entries(place)
    stranger, strict = Authority(tmp_path / "stranger"), Authority(tmp_path / "strict", digests="sha512")
    late = Authority(tmp_path / "late", days=-1)

    def given(data: bytes) -> Path:
        answer.write_bytes(data)
        return answer

    def refused(why: str, data: bytes, root: Path = authority.root, code: int = exits.FAILED) -> None:
        assert why in gossip("add", given(data), "elm", "--root", root, code=code)
        assert entries(place) == before

    query = answer.with_suffix(".tsq").read_bytes()
    refused("not vouched for by the given root", good, stranger.root)
    refused("not vouched for by the given root", late.answer(query), late.root)
    refused("not vouched for by the given root", altered(answer).read_bytes())
    refused("granted no time stamp", strict.answer(query))
    refused("no answer of a time-stamp authority", b"<html>Busy, try again later</html>")
    refused("no answer of a time-stamp authority", b"")
    refused("larger than", bytes(10_000_000), code=exits.USAGE)
    refused("no certificate in PEM", good, answer, code=exits.USAGE)
    refused("", good, Path("nowhere.pem"), code=exits.USAGE)

    other = founded(place.parent / "oak")  # another swarm, another log
    gossip("request", "oak", "--out", "oak.tsq")
    refused("answers no query of this peer", authority.answer(Path("oak.tsq").read_bytes()), code=exits.USAGE)
    assert len(entries(other)) == 3

    gossip("add", given(good), "elm", "--root", authority.root)
    before = entries(place)
    assert "in the log already, as entry 3" in gossip("add", answer, "elm", code=exits.USAGE)
    assert entries(place) == before


def test_an_answer_to_our_query_that_is_over_another_size_is_refused(
    place: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of one query, the hash of another: no honest authority mixes them up."""
    answer = asked(authority, "small")
    monkeypatch.setattr(anchoring, "_asked", lambda store, real=anchoring._asked: dict.fromkeys(real(store), 2))
    assert "over something else than this peer's log" in gossip("add", answer, "elm", code=exits.FAILED)
    assert not any(isinstance(entry, Anchor) for entry in entries(place))


def test_a_peer_that_has_signed_nothing_has_nothing_to_be_stamped(place: Path) -> None:
    create_swarm(place.parent / "new", name="new", task="table", model_text=MODEL, peer_name="ann", seed=1)
    assert "signed nothing yet" in gossip("request", "new", code=exits.USAGE)
    assert not list(Path().glob("*.tsq"))


def test_without_the_extra_every_command_says_what_to_install(
    place: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = asked(authority)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    for words in (("request", "--out", "x.tsq"), ("add", answer), ("verify", ".", "--root", authority.root)):
        assert "needs: pipx inject gossip-swarm rfc3161-client" in gossip(*words, code=exits.USAGE)
    assert not Path("x.tsq").exists()


def test_only_the_newest_queries_are_remembered(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "MAX_ASKED", 3)
    for number in range(5):
        gossip("request", "--out", f"{number}.tsq")
    with Store.open_readonly(places.store_path(place)) as store:
        assert len(anchoring._asked(store)) == 3


# ------------------------------------------------------------------ while a node runs


async def test_a_node_that_runs_writes_it_itself(place: Path, authority: Authority) -> None:
    young = place.parent / "oak"  # nobody can know more of its log than it does, so it writes at once
    create_swarm(young, name="oak", task="table", model_text=MODEL, peer_name="ann", seed=1)
    ready = asyncio.Event()
    node = Node(NodeConfig(directory=young), lambda note: ready.set() if note.kind == "ready" else None)
    running = asyncio.create_task(node.run())

    def signed() -> bool:
        with Store.open_readonly(places.store_path(young)) as store:
            return store.checkpoint(store.meta("self").decode()) is not None

    async with asyncio.timeout(20):
        await ready.wait()
        while not await asyncio.to_thread(signed):
            pass
        await asyncio.to_thread(gossip, "request", "oak", "--out", "oak.tsq")
        answer = Path("oak.tsr")
        answer.write_bytes(authority.answer(Path("oak.tsq").read_bytes()))
        told = await asyncio.to_thread(gossip, "add", answer, "oak", "--root", authority.root)
        assert "entry   2" in told
        *_, entry = entries(young)  # it is on disk, token and signature too, before the owner is told
        assert isinstance(entry, Anchor)
        with Store.open_readonly(places.store_path(young)) as store:
            assert store.blob(entry.token) is not None
        again = await asyncio.to_thread(gossip, "add", answer, "oak", code=exits.USAGE)
        assert "in the log already" in again
        for wrong in ({"size": 2, "token": "not base64"}, {"size": "2", "token": "AAAA"}, {"size": 2}):
            with pytest.raises(LocalError, match="this is no time stamp"):
                await asyncio.to_thread(control.ask, young, "anchor", **wrong)
        node.request_stop()
        await running
    with Store.open_readonly(places.store_path(young)) as store:
        kept = store.checkpoint(store.meta("self").decode())
        assert kept is not None
        assert kept.size == 3


# ------------------------------------------------------------------ the auditor


@pytest.fixture
def swarm() -> toy.Swarm:
    return toy.Swarm(["ann", "bob"])


def bundled(swarm: toy.Swarm, path: Path, *tokens: bytes) -> Path:
    contents = bundle_of(swarm)
    write_bundle(path, replace(contents, blobs=lambda: sorted(sha256(token).hexdigest() for token in tokens)))
    return path


def test_an_auditor_sees_what_existed_before_when(swarm: toy.Swarm, authority: Authority, tmp_path: Path) -> None:
    token = stamped(authority, checkpoint_of(swarm, "ann", 2))
    seq = anchor(swarm, "ann", 2, token)
    path = bundled(swarm, tmp_path / "bundle", token)
    told = gossip("verify", path, "--root", authority.root)
    assert f"{swarm['ann'].id[:12]}/{seq}" in told
    assert "CN=signer of honest" in told
    facts = json.loads(gossip("verify", path, "--root", authority.root, "--json"))
    (proven,) = facts["proven"]
    assert (facts["verdict"], proven["log"], proven["seq"], proven["size"]) == ("clean", swarm["ann"].id, seq, 2)


def test_an_auditor_is_told_what_does_not_hold(swarm: toy.Swarm, authority: Authority, tmp_path: Path) -> None:
    tokens = [stamped(authority, checkpoint_of(swarm, "ann", 2)), stamped(authority, checkpoint_of(swarm, "bob", 1))]
    anchor(swarm, "ann", 2, tokens[0])
    seq = anchor(swarm, "ann", 2, tokens[1])
    path = bundled(swarm, tmp_path / "bundle", *tokens)
    told = gossip("verify", path, "--root", authority.root, code=exits.FINDINGS)
    line = next(line for line in told.splitlines() if line.startswith("FINDING "))
    assert f"entry {seq}: token: a time stamp is over something else" in line
    assert f"blobs/{sha256(tokens[1]).hexdigest()}" in line
    stranger = Authority(tmp_path / "stranger")
    facts = json.loads(gossip("verify", path, "--root", stranger.root, "--json", code=exits.FINDINGS))
    assert (len(facts["findings"]), facts["proven"]) == (2, [])


def test_with_no_time_stamp_or_no_token_nothing_is_concluded(
    swarm: toy.Swarm, authority: Authority, tmp_path: Path
) -> None:
    path = bundled(swarm, tmp_path / "none")
    assert "INCONCLUSIVE" in gossip("verify", path, "--root", authority.root, code=exits.INCONCLUSIVE)
    token = stamped(authority, checkpoint_of(swarm, "ann", 2))
    anchor(swarm, "ann", 2, token)
    path = bundled(swarm, tmp_path / "erased")
    assert "MISSING" in gossip("verify", path, "--root", authority.root, code=exits.INCONCLUSIVE)


def run(*words: object, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.stdout


def test_what_was_added_leaves_with_the_bundle_and_the_bundle_holds(place: Path, authority: Authority) -> None:
    gossip("add", asked(authority))
    *_, entry = entries(place)
    run("ledger", "bundle", "--out", "whole")
    swarm = json.loads(Path("whole/bundle.json").read_text())["swarm"]
    run("ledger", "verify", "whole", "--swarm", swarm)
    assert "/3" in gossip("verify", "whole", "--root", authority.root)
    whole = json.loads(run("ledger", "verify", "whole", "--swarm", swarm, "--json"))

    token = Path("whole/blobs") / entry.token
    good = token.read_bytes()
    token.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    found = json.loads(run("ledger", "verify", "whole", "--swarm", swarm, "--json", code=exits.FINDINGS))
    assert [(one["rule"], one["file"]) for one in found["findings"]] == [("blob", f"blobs/{entry.token}")]
    assert "MISSING" not in gossip("verify", "whole", "--root", authority.root, code=exits.FINDINGS)
    token.unlink()
    erased = json.loads(run("ledger", "verify", "whole", "--swarm", swarm, "--json", code=exits.INCONCLUSIVE))
    assert erased["missing"] == [entry.token]
    assert erased["model_hash"] == whole["model_hash"] != ""  # no model depends on a time stamp


def test_a_bundle_of_nonsense_is_a_finding(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bundle.json").write_text("{")
    told = gossip("verify", tmp_path / "bad", "--root", authority.root, code=exits.FINDINGS)
    assert "bundle.json" in told
    gossip("verify", tmp_path / "nowhere", "--root", authority.root, code=exits.USAGE)
    gossip("verify", tmp_path / "bad", code=exits.USAGE)  # a root of one's own is not optional


# ------------------------------------------------------------------ as a part of the audit


def whole(swarm: toy.Swarm, path: Path, *tokens: bytes) -> Path:
    """A bundle that lacks nothing."""
    contents = bundle_of(swarm)
    names = {*contents.blobs(), *(sha256(token).hexdigest() for token in tokens)}
    write_bundle(path, replace(contents, blobs=lambda: sorted(names)))
    return path


def verify(*words: object, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, ["ledger", "verify", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.stderr if code == exits.USAGE else done.stdout


def moments(page: Path) -> dict[str, str]:
    """The last column of the page's table of moments, by entry."""
    rows = re.findall(r'class="mono">/(\d+)</span></td>(.*?)</tr>', page.read_text(), re.DOTALL)
    return {seq: re.findall(r"<td[^>]*>([^<]*)</td>", row)[-1] for seq, row in rows}


@pytest.fixture
def stamped_bundle(swarm: toy.Swarm, authority: Authority, tmp_path: Path) -> tuple[Path, int]:
    """Ann's snapshot, which nobody cites, is under a time stamp. Its index, too."""
    seq = swarm["ann"].snapshot().seq
    token = stamped(authority, checkpoint_of(swarm, "ann", seq + 1))
    anchor(swarm, "ann", seq + 1, token)
    return whole(swarm, tmp_path / "bundle", token), seq


def test_an_audit_with_a_root_narrows_the_interval_of_what_was_stamped(
    stamped_bundle: tuple[Path, int], swarm: toy.Swarm, authority: Authority, tmp_path: Path
) -> None:
    path, seq = stamped_bundle
    words = (path, "--swarm", swarm.swarm)
    with open_bundle(path) as contents:
        (proven,) = anchors_in(contents, load_roots(authority.root.read_bytes()))
    assert isinstance(proven, Proven)
    verify(*words, "--html", tmp_path / "without.html")
    verify(*words, "--root", authority.root, "--html", tmp_path / "with.html")
    without, narrowed = moments(tmp_path / "without.html"), moments(tmp_path / "with.html")
    assert without[str(seq)] == render.NONE
    assert narrowed[str(seq)] == render.moment(proven.time)
    assert "time stamps from outside" in (tmp_path / "with.html").read_text()
    report = json.loads(verify(*words, "--root", authority.root, "--json"))
    assert (report["verdict"], report["cosignatures"]) == ("clean", [])
    assert report["stamps"] == [{"log": swarm["ann"].id, "size": seq + 1, "before": proven.time}]
    told = verify(*words, "--root", authority.root)
    line = (
        f"stamped log {swarm['ann'].id[:12]}: its first {seq + 1} entries existed before {render.moment(proven.time)}"
    )
    assert line in told
    assert json.loads(verify(*words, "--json"))["stamps"] == []


def test_a_time_stamp_alone_makes_no_ledger_clean(stamped_bundle: tuple[Path, int], authority: Authority) -> None:
    """An authority stamps whatever it is sent: an invented swarm, too."""
    told = verify(stamped_bundle[0], "--root", authority.root, code=exits.INCONCLUSIVE)
    assert "stamped log " in told
    assert "you named nothing to hold it against" in told


def test_a_time_stamp_that_does_not_hold_is_a_finding_of_the_audit(
    stamped_bundle: tuple[Path, int], swarm: toy.Swarm, authority: Authority, tmp_path: Path
) -> None:
    path, seq = stamped_bundle
    stranger = Authority(tmp_path / "stranger")
    words = (path, "--swarm", swarm.swarm, "--root", stranger.root)
    told = verify(*words, code=exits.FINDINGS)
    assert f"FINDING log {swarm['ann'].id[:12]} entry {seq + 1}: token: " in told
    assert "stamped nothing" in told
    report = json.loads(verify(*words, "--json", code=exits.FINDINGS))
    (finding,) = report["findings"]
    assert (finding["rule"], finding["index"], report["stamps"]) == ("token", seq + 1, [])
    assert {log["peer"]: log["findings"] for log in report["logs"]}[swarm["ann"].id] == 1
    verify(*words, "--root", authority.root)  # of two roots, one vouches


@pytest.mark.parametrize("what", ["an entry", "the token"])
def test_what_the_audit_found_is_not_said_twice(
    what: str, stamped_bundle: tuple[Path, int], swarm: toy.Swarm, authority: Authority
) -> None:
    path, _ = stamped_bundle
    if what == "an entry":
        files = [file for file in (path / "logs" / swarm["ann"].id / "tile" / "entries").rglob("*") if file.is_file()]
        old, new = b'"kind":"data"', b'"kind":"date"'
    else:
        files = [file for file in (path / "blobs").iterdir() if b"signer of honest" in file.read_bytes()]
        old, new = b"signer of honest", b"signer of h0nest"
    (file,) = files
    file.write_bytes(file.read_bytes().replace(old, new))
    words = (path, "--swarm", swarm.swarm, "--json")
    before = json.loads(verify(*words, code=exits.FINDINGS))["findings"]
    assert json.loads(verify(*words, "--root", authority.root, code=exits.FINDINGS))["findings"] == before != []


def test_a_wrong_root_is_a_mistake_and_no_finding(
    stamped_bundle: tuple[Path, int], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stamped_bundle[0]
    for root, told in (("/nowhere.pem", "cannot read /nowhere.pem"), (__file__, "this is no certificate in PEM")):
        said = verify(path, "--root", authority.root, "--root", root, code=exits.USAGE)
        assert told in said
        assert said.count("\n") == 1
    assert "--root needs a whole audit" in verify(path, "--root", authority.root, "--structure", code=exits.USAGE)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    said = verify(path, "--root", authority.root, code=exits.USAGE)
    assert said == "gossip: this needs: pipx inject gossip-swarm rfc3161-client\n"
    verify(path, code=exits.INCONCLUSIVE)  # which needs no such thing
