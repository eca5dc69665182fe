"""A peer may call itself, its data, its lists and its reasons anything: no command lets any of it act on a terminal.

    every free text of every kind of entry = hostile --> store, bundle, archive --> every command: text, JSON, HTML
    every text of a status and of a note = hostile --> the live view, lines, events

What comes out is looked at as bytes: no control character but the newline, none that reverses, hides or piles up, no
escape sequence, no tag that was not there before. Commands walk from the program itself, so a new one must say what it
is run with here, or why nothing of a peer's can be in what it prints.
"""

from __future__ import annotations

import ast
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import live, running
from cli.app import app
from cli.beyond import beyond
from cli.concerns import concerns
from cli.later import whole
from cli.plain import MAX_MARKS, name, plain, visible
from cli.settings import STORE
from gossip.events import Note
from ledger.canonical import decode_entry, encode, encode_entry
from ledger.entry import Data, Judgement, Reading, Source, Update, Verdict
from ledger.store import PutMeta, Store
from tests.cli.test_beyond import wide as wide_status
from tests.cli.test_ledger import stored
from tests.cli.test_live import TAIL, status
from tests.cli.test_page import KINDS
from tests.fold import toy
from tests.fold.bundles import contents_of
from tests.fold.judging import SCORED

ROOT: Final = Path(__file__).parents[2]
EVIL: Final = "evil.example"  # stands in every link; whatever says it must say it as text
TEXTS: Final = {  # at most 64 characters each: as long as a name may be
    "sequences": f"\x1b[31mA\x1b]8;;http://{EVIL}\x07B\x1b]8;;\x07\x9b2J\x9d0;t\x9c\x1bPq\x1b\\\x07\x00\x7f",
    "markup": f"[link=http://{EVIL}]C[/link][bold]D[/]\\[re[b]d][@click=q]",
    "tags": f"<script>a()</script><img src=//{EVIL} onerror=a()>\"'&amp;",
    "marks": "\u202eF\u2066G\u200b\u200d\ufeff\u2028\u2029\n\r\tH\u061c\u180e\ue000\u0600\U000e0041\x85",
    "piled": "I" + "\u0301\u0489\u20dd" * 21,
}  # fmt: skip
WALKED: Final = {  # of all of them, in two: a walk through every command takes seconds
    "acts": f"\x1b]8;;http://{EVIL}\x07A\x9b2J<script>a()</script>\u202e\u200b\n\r\x85\u2028",
    "reads": f"[link=http://{EVIL}]A[/link]\\[re[b]d]<b>&lt;" + "\u0301\u20dd" * 7,
}
ASCII: Final = "\x1b[31m<b>[bold]\x7f\x00\n"  # what a label may hold


# ------------------------------------------------------------------ what must not come out


def acts(text: str) -> list[str]:
    """What in a text is not for reading only."""
    found = [
        f"U+{ord(c):04X} ({unicodedata.category(c)})"
        for c in text
        if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    ]
    piled = re.search(f"[\u0300-\u036f\u0483-\u0489\u20d0-\u20f0]{{{MAX_MARKS + 1},}}", text)
    return found + (["marks piled up"] if piled else [])


class Tags(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in KINDS:
            self.wrong.append(tag)
        self.wrong += [f"{key}={value}" for key, value in attrs if key.startswith("on") or EVIL in (value or "")]


def assert_harmless(said: str, what: str) -> None:
    assert acts(said) == [], f"{what}: {said[:300]!r}"


def test_the_look_sees_each_of_these_texts() -> None:
    for text in (*TEXTS.values(), *WALKED.values()):
        assert len(text) <= 64
        assert acts(text) or "[" in text or "<" in text
        assert acts(plain(text)) == acts(visible(text)) == acts(name(text)) == []


def test_a_terminal_that_obeys_markup_finds_none_in_a_name() -> None:
    paper = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=300, emoji=True)
    for text in TEXTS.values():
        shown = paper.render_str(plain(text), markup=True, highlight=False)
        assert shown.spans == []


def test_marks_pile_up_no_higher_than_words_need() -> None:
    assert visible("a" + "\u0301" * 64) == "a" + "\u0301" * MAX_MARKS
    for word in ("Việt", "Vie\u0323\u0302t", "क्षत्रिय", "שָׁלוֹם", "กี่น้ำ"):
        assert visible(word) == word


# ------------------------------------------------------------------ a swarm that says all that in every field


def hostile_swarm(text: str, patched: pytest.MonkeyPatch) -> toy.Swarm:
    """Whoever may choose a text chooses this one. (Names of tensors are refused by genesis; tests/fold.)"""
    honest = toy.genesis

    def genesis(**changes: Any) -> bytes:
        entry = decode_entry(honest(**changes))
        return encode_entry(msgspec.structs.replace(entry, name=text, task=text, model=text))

    def announced(peer: toy.Peer) -> Any:
        source = Source(name=text, sha256="", licence=text, url=text, retrieved=text, version=text)
        return peer.write(
            Data(
                **toy.CHAIN, root=sha256(peer.name.encode()).hexdigest(), records=100, labels={ASCII: 1}, duplicates=0,
                features=text, zone="private", sources=[source], generator=text, suffixes=text,
            )
        )  # fmt: skip

    patched.setattr(toy, "genesis", genesis)
    patched.setattr(toy.Peer, "announce_data", announced)
    swarm = toy.Swarm([text], witnesses=["founder", text])
    for _ in range(3):
        swarm[text].publish(np.linspace(-1, 1, 16) / 100)
        swarm.exchange()
    judge, author = swarm.founder, swarm[text]
    updates = [seq for seq in range(author.replica.size(author.id)) if _is(author, seq, Update)]
    reading = Reading(rule=text, value=3, limit=2)
    judgements = [
        Judgement(
            peer=author.id, seqs=updates[:1], hash=judge.replica.leaf(author.id, updates[0]), decision=decision,
            readings=[reading], measured=[SCORED],
        )
        for decision in ("quarantined", "refused")
    ]  # fmt: skip
    for one in judgements:
        judge.write(Verdict(**toy.CHAIN, basis=judge.replica.policy_now().hash, judgements=[one]))
    judge.ask_for(POLICY.replace("WORDS", "".join(c for c in text if 31 < ord(c) < 127 and c not in '"\\')))
    judge.snapshot()
    twin = author.twin()
    author.publish(np.ones(16) / 100)
    twin.publish(-np.ones(16) / 100)
    judge.fetch(author)
    judge.accuse_twins(author, twin, author.replica.size(author.id) - 1)
    swarm.exchange("founder")
    return swarm


POLICY: Final = """\
policy = 1

[data.licences]
all_in = ["WORDS"]
on_fail = "quarantine"
"""


def _is(peer: toy.Peer, seq: int, kind: type) -> bool:
    return isinstance(peer.replica.entry(peer.id, seq), kind)


@dataclass(frozen=True)
class Place:
    """Where the hostile swarm lies: a peer's directory, a bundle and an archive of it."""

    text: str
    swarm: toy.Swarm
    peer: Path
    bundle: Path
    archive: Path
    entry: str  # an entry's hash
    snapshot: str

    def words(self, told: Sequence[str], out: Path) -> list[str]:
        known = {
            "PEER": str(self.peer), "BUNDLE": str(self.bundle), "ARCHIVE": str(self.archive), "ENTRY": self.entry,
            "SNAPSHOT": self.snapshot, "OUT": str(out), "NAME": self.text, "WHO": self.swarm[self.text].id,
        }  # fmt: skip
        return [known.get(word, word) for word in told]


@pytest.fixture(scope="module", params=WALKED)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    text = WALKED[request.param]
    room = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patched:
        swarm = hostile_swarm(text, patched)
    peer = stored(room / "peer", swarm)
    with Store(peer / STORE) as store:
        store.commit([PutMeta("swarm_name", text.encode()), PutMeta("name", text.encode())])
    run("ledger", "bundle", "--dir", str(peer), "--out", str(room / "bundle"))
    run("ledger", "bundle", "--dir", str(peer), "--out", str(room / "bundle.zip"))
    replica, author = swarm.founder.replica, swarm[text].id
    entry = f"{author[:12]}/2"
    return Place(text, swarm, peer, room / "bundle", room / "bundle.zip", entry, f"{replica.founder[:12]}/1")


def run(*words: str) -> str:
    """Everything that a command says, on stdout and on stderr; it may fail, but not fall over."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})
    assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
    return str(done.output)


# ------------------------------------------------------------------ every command

READS: Final[dict[str, Sequence[Sequence[str]]]] = {
    "status": [["--dir", "PEER"]],
    "members list": [["PEER"], ["BUNDLE"]],
    "members revoke": [["NAME", "--dir", "PEER"], ["WHO", "--dir", "PEER"]],
    "members renew": [["NAME", "--dir", "PEER"]],
    "members allow": [["NAME", "--dir", "PEER"]],
    "members open": [["--dir", "PEER"]],
    "model releases": [["--dir", "PEER"]],
    "model release": [["1.0", "--dir", "PEER"]],
    "model use": [["newest", "--dir", "PEER"]],
    "gains": [["--dir", "PEER"]],
    "why": [["https://ads.example/x.js", "--dir", "PEER"], ["https://ads.example/x.js", "BUNDLE"]],
    "label": [["--list", "--dir", "PEER"], ["metrics.example", "ad", "--dir", "PEER"]],
    "model export": [["BUNDLE", "--out", "OUT"], ["PEER", "--out", "OUT"], ["PEER", "--format", "js", "--out", "OUT"]],
    "policy show": [["BUNDLE"], ["PEER"], ["BUNDLE", "--text"]],
    "policy explain": [["ENTRY", "BUNDLE"], ["ENTRY", "PEER"]],
    "ledger log": [["BUNDLE"], ["PEER"], ["BUNDLE", "--peer", "NAME"], ["ARCHIVE"]],
    "ledger show": [["ENTRY", "BUNDLE"], ["ENTRY", "PEER"], ["NAME/1", "BUNDLE"]],
    "ledger verify": [["BUNDLE"], ["BUNDLE", "--structure"], ["ARCHIVE"], ["BUNDLE", "--html", "OUT"]],
    "ledger replay": [["BUNDLE"], ["BUNDLE", "--plain"]],
    "ledger lineage": [["BUNDLE"]],
    "ledger attendance": [["BUNDLE"], ["PEER"]],
    "ledger without": [["BUNDLE", "NAME"], ["BUNDLE", "WHO"]],
    "ledger prune": [["--dir", "PEER", "--dry-run"]],
    "ledger state": [["BUNDLE", "SNAPSHOT", "--out", "OUT"]],
    "ledger prove": [["ENTRY", "BUNDLE"], ["ENTRY", "PEER", "--out", "OUT"]],
    "ledger bundle": [["PEER", "--out", "OUT"]],
    "ledger anchor verify": [["BUNDLE", "--root", "OUT"]],
    "ledger anchor request": [["--dir", "PEER", "--out", "OUT"]],
    "key show": [["--dir", "PEER"]],
    "data zone": [["--dir", "PEER"]],
    "leave": [["--dir", "PEER"]],
    "stop": [["--dir", "PEER"]],
    "invite": [["--dir", "PEER"]],
}
# Commands that print nothing which a peer chose, or start a node, whose words are looked at below.
OWN: Final[dict[str, str]] = {
    "doctor": "a node's status and what is heard: tried in tests/doctor",
    "demo": "its own peers; the live view is tried below",
    "simulate": "files of the user's own, tried in tests/cli/test_simulate.py",
    "new": "what its user typed",
    "run": "a node's lines, events and view: tried below",
    "join": "a node's lines, events and view: tried below",
    "bench": "nothing but figures of this machine",
    "bench time-to-accuracy": "its own peers, of which nothing but figures is shown",
    "lists add": "lists of the user's own, tried in tests/cli/test_lists.py",
    "lists show": "lists of the user's own, tried in tests/cli/test_lists.py",
    "lists remove": "lists of the user's own, tried in tests/cli/test_lists.py",
    "lists lint": "lists of the user's own, tried in tests/cli/test_lists.py",
    "lists report": "captures and lists of the user's own, tried in tests/cli/test_lists.py",
    "score": "captures and lists of the user's own, tried in tests/cli/test_score.py",
    "head train": "examples of the user's own, tried in tests/cli/test_heads.py",
    "head show": "heads of the user's own, tried in tests/cli/test_heads.py",
    "train": "data of the user's own, of which names of files alone are shown",
    "model check": "a file of the user's own",
    "suggest": "captures and lists of the user's own, tried in tests/cli/test_suggest.py",
    "flag": "captures and lists of the user's own, tried in tests/cli/test_suggest.py",
    "triage": "captures and lists of the user's own, tried in tests/cli/test_suggest.py",
    "data check": "files of the user's own; names of peers whose data they repeat come through plain (tests/quality)",
    "data privacy": "files of the user's own",
    "policy check": "a file of the user's own",
    "policy default": "a text of the program",
    "policy set": "a file of the user's own",
    "policy pin": "a file of the user's own",
    "ledger anchor add": "a file of the user's own",
    "key new": "a key",
    "relay": "counts, and addresses of the user's own",
    "key rotate": "keys",
    "key passphrase": "keys",
    "key backup": "keys",
    "key recover": "keys",
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for word, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, word))
    if not getattr(command, "commands", None):
        yield " ".join(path), command


def test_every_command_is_tried_or_says_why_not() -> None:
    there = {path for path, _ in leaves(whole(app))}
    assert there <= set(READS) | set(OWN), "new commands: say in READS what each is run with"


def test_no_command_lets_a_text_of_a_peer_act(place: Place, tmp_path: Path) -> None:
    there = dict(leaves(whole(app)))
    said = ""
    for path, ways in READS.items():
        if path not in there:
            continue
        has_json = any("--json" in option.opts for option in there[path].params)
        for number, way in enumerate(ways):
            for extra in ([], ["--json"]) if has_json and not number else ([],):
                out = tmp_path / f"{path.replace(' ', '-')}-{number}{len(extra)}"
                text = run(*path.split(), *place.words(way, out), *extra)
                assert_harmless(text, f"gossip {path} {' '.join(way)} {' '.join(extra)}")
                assert not text.startswith("{") or text.partition("\n}")[0].isascii(), path
                if out.is_file() and "--html" in way:
                    page = out.read_text("utf-8")
                    assert_harmless(page, "the page")
                    assert Tags(page).wrong == []
                said += text
    assert "A<script>a()" in said or "A<b>&lt;" in said  # the texts do come out, made harmless


def test_a_program_that_cleans_nothing_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: the same commands, but for the one place where texts are made harmless."""
    monkeypatch.setattr("cli.plain._ESCAPES", re.compile("(?!)"))
    monkeypatch.setattr("cli.plain._UNSEEN", frozenset())
    monkeypatch.setattr("cli.plain.MAX_MARKS", 99)
    caught = [words for words in (["ledger", "log"], ["ledger", "verify"]) if acts(run(*words, str(place.bundle)))]
    assert len(caught) == 2


def test_what_is_written_beside_a_bundle_is_harmless(place: Place) -> None:
    """READMEs, notes, witness policies and the manifest are for people, too; blobs are their author's very bytes."""
    for file in sorted(place.bundle.rglob("*")):
        if file.is_file() and "tile" not in file.parts and file.parent.name != "blobs" and file.suffix != ".toml":
            data = file.read_bytes()
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                continue
            assert_harmless(text.replace("\t", ""), file.name)


def test_errors_about_files_that_others_made_are_harmless(place: Place, tmp_path: Path) -> None:
    """A bundle whose files have such names, and one whose manifest says such things."""
    other = tmp_path / "other"
    run("ledger", "bundle", str(place.peer), "--out", str(other))
    stray = "".join(c for c in place.text if c not in "/\0").encode("utf-8")[:200]
    for folder in (other, other / "logs", other / "blobs"):
        (folder / stray.decode("utf-8", "ignore")).write_bytes(b"x")
    for words in (["verify"], ["log"], ["verify", "--json"]):
        assert_harmless(run("ledger", *words, str(other)), f"{words[0]} of strange files")
    manifest = json.loads((other / "bundle.json").read_bytes())
    for field in ("format", "swarm", "founder", "model_hash"):
        (other / "bundle.json").write_bytes(encode({**manifest, field: place.text}))
        for command in ("verify", "log"):
            assert_harmless(run("ledger", command, str(other)), f"{command} of a manifest with another {field}")


# ------------------------------------------------------------------ the node's words


def hostile(value: Any, text: str) -> Any:
    """The value with every text in it replaced, keys of mappings as well where they are ids."""
    match value:
        case str():
            return text
        case dict():
            return {key: hostile(inner, text) for key, inner in value.items()}
        case list() | tuple():
            return [hostile(inner, text) for inner in value]
    return value


@pytest.mark.parametrize("which", TEXTS)
def test_the_live_view_obeys_nobody(which: str) -> None:
    text = TEXTS[which]
    facts = status(
        1, "x", tail=TAIL, refusals=["x", "y"], policy={"pins_missing": ["x"], "lacks_engine": True}, witnesses=["x"],
        witnessed=48, final_at=1_767_225_780.0, heads={"00" * 32: 52}, trouble="x", detail="x", wide=wide_status(),
    )  # fmt: skip
    said = hostile(facts, text)
    for state in (said["state"], "training", "draining"):
        words = running.told("refused", {"peer": text, "name": text, "text": text})
        board = live.Board(f"gossip: {visible(text)}", 3.0, ({**said, "state": state}, {**said, "id": "x"}), {}, words)
        for terminal in (False, True):
            out = Console(file=io.StringIO(), width=90, height=30, force_terminal=terminal, markup=False,
                          highlight=False, emoji=False, legacy_windows=False)  # fmt: skip
            out.print(live.view(board, 90, 30, unicode=True))
            assert isinstance(out.file, io.StringIO)
            drawn = out.file.getvalue()
            assert "\x1b]" not in drawn  # no link, no title
            assert_harmless(re.sub(r"\x1b\[[0-9;]*m", "", drawn), "the live view")  # its own colours may stay
        assert_harmless(live.line(board), "the line of a status")


@pytest.mark.parametrize("which", TEXTS)
def test_a_relay_or_bootstrap_that_says_such_things_is_not_obeyed(which: str) -> None:
    """Their own words reach people as what is wrong with them, and a made-up status may name anything as an address."""
    for state in ("ready", "alone", "off"):
        facts = status(1, "x", wide={**hostile(wide_status(), TEXTS[which]), "state": state})
        for row in (*facts["wide"]["relays"], *facts["wide"]["bootstrap"]):
            row.update(reserved=False, connected=False)
        said = [*beyond(facts, 80), *concerns(facts, 80)]
        assert said
        for line in said:
            assert_harmless(line, f"what is said of other networks ({state})")
            assert line.isprintable()


@cache
def notes() -> dict[str, set[str]]:
    """Every kind of note that the program makes, with its fields, as they stand in the source."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "gossip").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("note", "_tell", "tell", "Note") and isinstance(node.args[0].value, str):
                fields = {word.arg for word in node.keywords if word.arg}
                found.setdefault(node.args[0].value, set()).update(fields)
    return found


def test_the_source_says_which_notes_there_are() -> None:
    assert {"link_up", "link_down", "refused", "admitted", "trouble", "verdict", "condemned"} - set(notes()) <= {
        "verdict", "condemned"
    }  # fmt: skip
    assert set(running.TOLD) - {"verdict"} <= set(notes()) | {"condemned"}


@pytest.mark.parametrize("which", TEXTS)
def test_no_note_of_a_node_acts_as_a_line_or_as_an_event(which: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = TEXTS[which]
    numbers = {"updates", "seq", "round", "steps", "examples", "seconds", "index", "number", "given", "weight"}
    for kind, fields in {**notes(), "verdict": {"text"}, "unheard_of": {"text"}}.items():
        facts: dict[str, Any] = {field: 3 if field in numbers else text for field in {*fields, "peer", "name"}}
        for more in ({}, {"readings": [text], "own": True}):
            assert_harmless(running.told(kind, {**facts, **more}), f"the note {kind}")
            for mode in ("plain", "json"):
                running._Shown(mode).note(Note(kind, {**facts, **more}))  # type: ignore[arg-type]
                said = capsys.readouterr().out
                assert_harmless(said, f"the note {kind} as {mode}")
                assert mode == "plain" or said.isascii()


def test_contents_of_the_hostile_swarm_are_what_was_meant(place: Place) -> None:
    """The positive control: the store does hold these texts, in entries of many kinds."""
    kinds = {
        type(entry).__name__
        for _, _, data in place.swarm.everything()
        if place.text in json.dumps(json.loads(data), ensure_ascii=False).replace("\\\\", "\\")
        or json.dumps(place.text, ensure_ascii=False)[1:-1].encode() in data
        for entry in [decode_entry(data)]
    }
    assert {"Genesis", "Enrol", "Data", "Verdict"} <= kinds
    assert contents_of(place.swarm).logs
