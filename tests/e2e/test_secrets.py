"""Secrets planted in a capture, and looked for in all that a peer keeps, publishes and prints.

    in headers, cookies, posted data, bodies, call stacks, user names, passwords, fragments     nowhere at all
    in values of queries, in parts of paths, in the capture's own name for a page               in the labelled table
    what is typed to be judged                                                                  in judgements.jsonl

What is looked for is found in the HAR, so the look itself works. `--raw` shows the second kind: that it was masked
without is no accident.
"""

from __future__ import annotations

import json
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from cli import exits
from cli.app import app
from tests.e2e.machines import Machine

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-one")]

SITES: Final = 16
NEVER: Final = {
    "header": "HdrBearer9f31c7", "cookie": "CkSession5d20aa", "post": "PostPassword77ab1", "body": "BodyAccount4e2290",
    "stack": "StackFrame81cd32", "user": "anna.geheim", "password": "PwInUrl6614bb", "fragment": "FragToken0d9e55",
    "socket": "SocketMsg3398fe",
}  # fmt: skip
MASKED: Final = {
    "query": "QueryValue55e1d0", "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "hex": "7f3c9a0b5d2e4f6188",
    "digits": "4915112345678", "mail": "berta.boss%40mail.example", "base64": "QWxhZGRpbjpvcGVuIHNlc2FtZQ2x",
}  # fmt: skip


def entry(page: str, url: str, kind: str) -> dict[str, Any]:
    return {
        "_initiator": {"type": "script", "stack": {"callFrames": [{"url": f"https://x.example/{NEVER['stack']}"}]}},
        "_resourceType": kind,
        "_webSocketMessages": [{"type": "send", "data": NEVER["socket"]}],
        "pageref": page,
        "startedDateTime": "2026-01-01T00:00:00.000Z",
        "request": {
            "method": "POST", "url": url, "headers": [{"name": "Authorization", "value": NEVER["header"]}],
            "cookies": [{"name": "sid", "value": NEVER["cookie"]}],
            "queryString": [{"name": "sid", "value": MASKED["query"]}],
            "postData": {"mimeType": "text/plain", "text": NEVER["post"]},
        },
        "response": {
            "headers": [{"name": "Set-Cookie", "value": NEVER["cookie"]}],
            "content": {"mimeType": "text/javascript", "text": f'{{"account":"{NEVER["body"]}"}}'},
        },
    }  # fmt: skip


def capture(path: Path) -> Path:
    """Enough of it to train on, and that something is proposed: the same third parties on all sites."""
    pages, entries = [], []
    who = f"{NEVER['user']}:{NEVER['password']}@"
    for number in range(SITES):
        page, site = f"page_{number}", f"https://site{number}.example"
        pages.append({"id": page, "title": f"{site}/?from={MASKED['query']}"})
        entries.append(entry(page, f"{site}/?from={MASKED['query']}", "document"))
        for host in ("ads.example", "banners.example", "tracker.example"):
            for part in ("uuid", "hex", "digits", "mail", "base64"):
                url = f"https://{who}{host}/adserver/banner/{MASKED[part]}/show.js"
                entries.append(entry(page, f"{url}?sid={MASKED['query']}&ad=1#{NEVER['fragment']}", "script"))
        entries += [entry(page, f"{site}/style{each}.css?v={MASKED['query']}", "stylesheet") for each in range(15)]
    entries.append(entry("page_1", f"https://[{MASKED['query']}/{MASKED['hex']}", "image"))  # of no use
    path.write_text(json.dumps({"log": {"version": "1.2", "pages": pages, "entries": entries}}))
    return path


def found(data: bytes, secrets: dict[str, str]) -> set[str]:
    return {name for name, secret in secrets.items() if secret.encode() in data}


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_socket())


def test_no_secret_of_a_capture_leaves_the_labelled_table(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("adblock")
    anna = machine("anna")
    har = capture(anna.home / "mon.har")
    assert found(har.read_bytes(), NEVER | MASKED) == set(NEVER | MASKED)
    ads = anna.home / "ads.txt"
    ads.write_text("! Title: Ads of ours\n||ads.example^\n||site3.example^*.css$stylesheet\n")
    said: list[str] = []

    monkeypatch.setenv("GOSSIP_HOME", str(anna.swarms))
    runner = CliRunner()

    def told(*words: Any) -> str:
        done = runner.invoke(app, list(map(str, words)))
        assert done.exit_code in (exits.OK, exits.FINDINGS), done.output
        said.append(done.output)
        return done.stdout

    told("new", "my-swarm", "--name", "anna")
    told("data", "check", har, ads)
    told("data", "check", har, ads, "--json", "--html", anna.home / "quality.html")
    node = anna.start("run", "--data", har, "--list", ads, "--every", "0", "--json")
    node.event("snapshot")
    told("status")
    assert node.end(signal.SIGTERM) == exits.OK
    said += [*node.out, *node.err]
    told("ledger", "log")
    told("ledger", "bundle", "--out", anna.home / "bundle.zip")
    for words in (
        ("score", har), ("score", har, "--json"), ("score", har, "--csv", "-"),
        ("score", har, "--html", anna.home / "score.html"), ("suggest", har), ("suggest", har, "--json"),
        ("flag", har), ("flag", har, "--json"), ("triage", "https://site3.example/", har),
    ):  # fmt: skip
        told(*words, "--list", ads)
    told("lists", "add", ads)
    told("lists", "report", har)
    told("lists", "report", har, "--json")

    secret = f"https://tracker.example/adserver/banner/{MASKED['uuid']}/show.js?sid={MASKED['query']}&ad=1"
    told("why", secret, "--page", f"https://site3.example/?from={MASKED['query']}", "--list", ads)
    told("why", secret, "--json")
    told("label", secret, "tracker", "--page", f"https://site3.example/?from={MASKED['query']}")
    told("label", "--list")
    told("label", "--list", "--json")
    told("train", har, "--list", ads, "--out", anna.home / "m.gossip", "--rounds", "1")
    told("gains")

    place = anna.swarms / "my-swarm"
    (table,) = (place / "labelled").glob("*.jsonl")
    assert found(table.read_bytes(), MASKED) == set(MASKED)  # what it trains on
    assert table.stat().st_mode & 0o077 == 0
    said_of = place / "judgements.jsonl"  # what was judged, as it was typed: for its owner alone
    assert said_of.stat().st_mode & 0o077 == 0
    kept = [path for path in files_in(anna.home) if path not in (har, table, said_of)]
    assert {"m.gossip", "peer.db", "bundle.zip", "quality.html", "score.html"} <= {path.name for path in kept}
    for path in kept:
        assert found(path.read_bytes(), NEVER | MASKED) == set(), path
    assert found(table.read_bytes(), NEVER) == set()
    with zipfile.ZipFile(anna.home / "bundle.zip") as bundle:
        for name in bundle.namelist():
            assert found(bundle.read(name), NEVER | MASKED) == set(), name
    assert found("".join(said).encode(), NEVER | MASKED) == set()
    raw = told("score", har, "--json", "--raw")
    assert found(raw.encode(), MASKED) == set(MASKED)
    assert found(raw.encode(), NEVER) == set()
