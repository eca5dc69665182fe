"""The audit as a page: whole in one file, true to the report, harmless whatever peers call themselves."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cli import exits
from cli.opened import opened
from cli.page import render_page
from ledger.audit import Anchors
from ledger.bundle import write_bundle
from ledger.canonical import decode_entry, encode, encode_entry
from ledger.checkpoint import Checkpoint
from ledger.cosignature import add_cosignatures, cosign
from ledger.entry import Data, Source
from ledger.replica import Checked
from tests.cli.test_ledger import facts, gossip, stored
from tests.fold import toy
from tests.fold.bundles import contents_of, entries_of, forged, with_log, written

BAD_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=http://x.example/a onerror=alert(1)>',
    "\u202egnp.exe\u2066 &amp;",
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
KINDS = {
    "b", "body", "br", "button", "circle", "code", "dd", "div", "dl", "dt", "footer", "g", "h1", "h2", "head", "html",
    "link", "main", "meta", "p", "path", "rect", "script", "section", "span", "strong", "style", "svg", "table",
    "tbody", "td", "text", "th", "thead", "title", "tr",
}  # fmt: skip


def announce(peer: toy.Peer) -> Checked:
    """Data whose description is as hostile as the names."""
    source = Source(
        name=BAD_NAMES[0], sha256="", licence=BAD_NAMES[1], url="javascript:alert(1)", retrieved="", version="</style>"
    )
    return peer.write(
        Data(
            **toy.CHAIN, root=sha256(peer.name.encode()).hexdigest(), records=100, labels={"<b>": 1},
            duplicates=0, features="toy-1", zone="private", sources=[source],
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.Peer, "announce_data", announce)
        swarm = toy.Swarm(BAD_NAMES)
    for number in range(20):
        for name in (*BAD_NAMES, "founder")[number % 2 :]:
            swarm[name].publish(np.linspace(-1, 1, 16) * (number + 1) / 100)
        swarm.exchange()
    return swarm


@pytest.fixture(scope="module")
def bundle(swarm: toy.Swarm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = stored(tmp_path_factory.mktemp("page") / "peer", swarm)
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(place.parent / "bundle"))
    return place.parent / "bundle"


def page_of(bundle: Path, anchors: Anchors) -> str:
    with opened(bundle, anchors) as read:
        return render_page(read, anchors)


@pytest.fixture(scope="module")
def page(bundle: Path, swarm: toy.Swarm) -> str:
    return page_of(bundle, Anchors(swarm=swarm.swarm))


class Parsed(HTMLParser):
    """Every tag, attribute and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self._open[-1] if self._open else "", []).append(data)


def test_what_peers_chose_never_becomes_markup(page: str) -> None:
    harmless(page)


def harmless(page: str) -> None:
    """Nothing in it that peers chose acts, turns the direction of reading, or goes on and on."""
    parsed = Parsed(page)
    assert {tag for tag, _ in parsed.tags} <= KINDS
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert "alert(1)" not in "".join(parsed.text["script"] + parsed.text["style"])
    attributes = [(name, value or "") for _, attrs in parsed.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    assert {unicodedata.category(char) for char in page if char != "\n"}.isdisjoint(
        {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    )
    assert "alert(1)" in page  # the names are there, as text: the checks above had something to see
    words = [word for tag, texts in parsed.text.items() if tag not in ("script", "style") for word in texts]
    assert max(map(len, words)) <= 400


HOSTILE = (
    "<script>alert(1)</script>",
    "</title></script><b>alert(1)</b></style></svg><img src=//x.example onerror=1>",
    "\" onload=alert(1) style='x:y' \u202e\u2066\x1b[2J\x00\u2028alert(1)",
    "alert(1) &lt;b&gt; ${alert(1)} --> ]]> " + "W" * 5_000,
)


def hostile_swarm(text: str, monkeypatch: pytest.MonkeyPatch) -> toy.Swarm:
    """Each text that the format leaves to its author is `text`, or as much of it as goes in."""
    honest, short, label = toy.genesis, text[:64], text[:60].encode("ascii", "replace").decode()

    def genesis(**changes: Any) -> bytes:
        entry = decode_entry(honest(**changes))
        return encode_entry(msgspec.structs.replace(entry, name=short, task=short, model=text))

    def announced(peer: toy.Peer) -> Checked:
        source = Source(name=text, sha256="", licence=text, url=text, retrieved=text, version=text)
        return peer.write(
            Data(
                **toy.CHAIN, root=sha256(peer.name.encode()).hexdigest(), records=100, labels={label: 1}, duplicates=0,
                features=text, zone="private", sources=[source],
            )
        )  # fmt: skip

    monkeypatch.setattr(toy, "genesis", genesis)
    monkeypatch.setattr(toy.Peer, "announce_data", announced)
    swarm = toy.Swarm([short])
    for _ in range(3):
        swarm[short].publish(np.linspace(-1, 1, 16) / 100)
        swarm.exchange()
    return swarm


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_that_anybody_chooses_becomes_markup(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a genesis, in entries, and in what findings quote: lines below a note, a kind, names of files, a format."""
    swarm = hostile_swarm(text, monkeypatch)
    peer = swarm[text[:64]]
    word = "".join(char for char in text if char.isprintable() and char not in " +/")[:60]
    line = replace(cosign(Checkpoint("x.example/a", 1, bytes(32)), "x.example/a", toy.key_of("x"), 1), name=word)
    contents = with_log(
        contents_of(swarm), peer.id, lambda log: replace(log, cosigned=add_cosignatures(log.checkpoint, [line]))
    )
    write_bundle(tmp_path / "bundle", contents)
    harmless(page_of(tmp_path / "bundle", Anchors(swarm=swarm.swarm)))

    for place in ("", f"logs/{peer.id}", f"logs/{peer.id}/tile", "blobs"):
        (tmp_path / "bundle" / place / word).write_bytes(b"")
    page = page_of(tmp_path / "bundle", Anchors(swarm=swarm.swarm))
    harmless(page)
    assert page.count("does not belong in a bundle") == 2
    assert "nobody known has made that of" in page

    entries = entries_of(swarm.founder.replica, peer.id)
    kind = {**json.loads(entries[-1]), "kind": text}
    broken = forged(swarm, contents_of(swarm), text[:64], [*entries[:-1], encode(kind)])
    write_bundle(tmp_path / "broken", broken)
    page = page_of(tmp_path / "broken", Anchors(swarm=swarm.swarm))
    harmless(page)
    assert "an entry is malformed" in page

    manifest = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    (tmp_path / "bundle" / "bundle.json").write_bytes(encode({**manifest, "format": text}))
    page = page_of(tmp_path / "bundle", Anchors(swarm=swarm.swarm))
    assert "this program reads" in page
    harmless(page)


def test_it_asks_for_nothing(page: str) -> None:
    parsed = Parsed(page)
    links = [value for _, attrs in parsed.tags for name, value in attrs.items() if name in ("src", "href", "action")]
    assert links == ["data:,"]  # an icon of its own, so that no browser looks for one
    assert "url(" not in page
    assert "@import" not in page


def test_its_policy_allows_this_style_and_this_script_and_nothing_else(page: str) -> None:
    parsed = Parsed(page)
    policy = next(attrs["content"] for tag, attrs in parsed.tags if attrs.get("http-equiv"))
    assert policy is not None
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    hashes = {}
    for kind in ("style", "script"):
        [inner] = re.findall(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        hashes[kind] = "'sha256-" + base64.b64encode(sha256(inner.encode()).digest()).decode() + "'"
    assert told == {
        "default-src": "'none'", "style-src": hashes["style"], "script-src": hashes["script"], "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_it_says_what_the_report_says(bundle: Path, page: str, swarm: toy.Swarm) -> None:
    assert "<strong>Clean</strong>" in page
    assert swarm.swarm in page
    assert swarm.founder.model_hash() in page
    updates = sum(1 for _ in swarm.founder.replica.updates)
    assert f"<b>{updates:,}</b><span>updates in the model</span>" in page
    assert page.count('class="dot" cx=') > updates / 2
    assert page.count('class="snapshot" x=') >= 4
    open_ended = page_of(bundle, Anchors())
    assert "consistent with itself, but you named nothing to hold it against" in open_ended


def test_a_finding_stands_there_with_its_file(bundle: Path, tmp_path: Path, swarm: toy.Swarm) -> None:
    bad = shutil.copytree(bundle, tmp_path / "bad")
    (bad / "README.txt").write_text("something else")
    (bad / "blobs" / ("0" * 64)).write_bytes(b"")
    page = page_of(bad, Anchors(swarm=swarm.swarm))
    assert "this ledger does not hold" in page
    assert '<code class="hash">README.txt</code>' in page
    assert f'<code class="hash">blobs/{"0" * 64}</code>' in page


def test_a_bundle_without_a_genesis_that_holds_still_makes_a_page(bundle: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(bundle, tmp_path / "bad")
    manifest = json.loads((bad / "bundle.json").read_text())
    manifest["founder"] = next(log["peer"] for log in manifest["logs"] if log["peer"] != manifest["founder"])
    (bad / "bundle.json").write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))
    assert "no genesis that holds" in page_of(bad, Anchors())


def test_the_same_bundle_makes_the_same_page(bundle: Path, page: str, swarm: toy.Swarm) -> None:
    assert page_of(bundle, Anchors(swarm=swarm.swarm)) == page


def a_troubled_story() -> toy.Swarm:
    """A snapshot becomes final, bob changes his key, cyd signs two histories and is accused; the others go on."""
    swarm = toy.Swarm(["ann", "bob", "cyd"], witnesses=["founder", "ann", "bob"])
    change = np.linspace(-1, 1, 16) / 50
    for _ in range(3):
        for peer in swarm.peers.values():
            peer.publish(change)
        swarm.exchange()
    snapshot = swarm["ann"].snapshot().seq
    swarm.exchange()
    swarm["ann"].final(snapshot, [swarm.founder, swarm["bob"]])
    swarm["bob"].rotate()
    swarm.exchange()
    twin = swarm["cyd"].twin()
    swarm["cyd"].publish(change)
    twin.publish(-change)
    twin.publish(-change)
    swarm.founder.fetch(swarm["cyd"])
    swarm.founder.publish(change)
    swarm.founder.fetch(twin)
    swarm.founder.accuse_twins(swarm["cyd"], twin, twin.replica.size(twin.id) - 2)
    for name in ("ann", "bob"):
        swarm[name].fetch(swarm.founder)
        swarm[name].publish(change)
    swarm.exchange("founder", "ann", "bob")
    return swarm


def test_trouble_is_drawn_and_what_does_not_count_is_counted_nowhere(tmp_path: Path) -> None:
    swarm = a_troubled_story()
    bundle = written(swarm, tmp_path / "bundle")
    page = page_of(bundle, Anchors(swarm=swarm.swarm))
    assert "<strong>Clean</strong>" in page
    drawn = page[page.index("Logs that cite one another") : page.index("What the model is made of")]
    for mark, times in (("branch", 1), ("final", 1 + 1), ("accuse", 1 + 1), ("key", 1 + 1), ("lost", 3 + 1)):
        assert len(re.findall(f'class="{mark}"', drawn)) == times, mark  # and one of each in the legend
    assert "cyd (branch)" in drawn

    told = facts("ledger", "lineage", str(bundle))
    counted = {row["name"]: row["updates"] for row in told["peers"]}
    assert counted == {"founder": 4, "ann": 4, "bob": 4, "cyd": 3}
    assert told["model_hash"] == swarm.founder.model_hash()
    assert facts("ledger", "without", str(bundle), "cyd")["updates_leaving"] == 3
    listed = facts("ledger", "log", str(bundle), "-n", "0")
    assert len({entry["hash"] for entry in listed["entries"]}) == listed["total"]  # what branches share is listed once


# ------------------------------------------------------------------ in a browser

ALONE = ("unshare", "--user", "--map-root-user", "--net")
CUT_OFF = shutil.which("unshare") is not None and not subprocess.run([*ALONE, "true"], check=False).returncode
LOUD = "NOT LOOKED AT IN A BROWSER: there is no Chromium here"


class Looked:
    """What headless Chromium said about a page: its errors, and what it asked for beside the page itself."""

    def __init__(self, page: str, folder: Path) -> None:
        assert CHROMIUM is not None
        folder.mkdir()
        file, log = folder / "page.html", folder / "net.json"
        file.write_text(page, encoding="utf-8")
        options = (
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
            "--disable-component-update", "--disable-sync", "--disable-extensions", "--virtual-time-budget=2000",
            f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr", "--dump-dom",
        )  # fmt: skip
        command = [CHROMIUM, *options, file.as_uri()]
        if CUT_OFF:
            command = [*ALONE, *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        self.dom = done.stdout
        self.errors = [line for line in done.stderr.splitlines() if ":CONSOLE" in line and file.as_uri() in line]
        events = json.loads(log.read_text(encoding="utf-8", errors="replace"))["events"]
        requests = [event["params"] for event in events if "initiator" in event.get("params", {})]
        # The browser asks for updates of its own, initiated by "not an origin"; a page's requests name its origin.
        self.asked = {request["url"] for request in requests if request["initiator"] != "not an origin"}


@pytest.mark.skipif(CHROMIUM is None, reason=LOUD)
def test_a_browser_shows_it_without_an_error_or_a_request(page: str, tmp_path: Path) -> None:
    looked = Looked(page, tmp_path / "page")
    assert looked.errors == []
    assert looked.asked == set()
    assert "Logs that cite one another" in looked.dom


@pytest.mark.skipif(CHROMIUM is None, reason=LOUD)
def test_the_browser_would_have_told_of_an_error_or_a_request(page: str, tmp_path: Path) -> None:
    """The positive control: the same page with a style that its policy does not know, and with an image."""
    broken = Looked(page.replace("</style>", "/**/</style>", 1), tmp_path / "style")
    assert any("Content Security Policy" in line for line in broken.errors)
    fetching = re.sub(r"<meta http-equiv[^>]+>", "", page).replace("<main>", '<main><img src="http://x.example/a">')
    assert Looked(fetching, tmp_path / "image").asked == {"http://x.example/a"}


def test_verify_writes_it(bundle: Path, tmp_path: Path, swarm: toy.Swarm) -> None:
    out = tmp_path / "page.html"
    told = gossip("ledger", "verify", str(bundle), "--swarm", swarm.swarm, "--html", str(out))
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert f"wrote   {out}" in told
    wrong = ("ledger", "verify", str(bundle), "--swarm", swarm.swarm, "--html", str(tmp_path / "none" / "page"))
    assert "cannot write" in gossip(*wrong, code=exits.USAGE)
