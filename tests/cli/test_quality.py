"""`gossip data check`: what somebody is told about their data before they join, in words, as JSON and as a page."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cli import exits, render
from cli.page.shell import document
from gossip import directory as places
from gossip.quality.findings import UNLABELLED
from gossip.setup import EMPTY_HEADS
from ledger.canonical import encode_entry, entry_hash
from ledger.entry import FORMAT_VERSION, Data, Enrol
from ledger.keys import PrivateKey
from ledger.opening import public_salt
from ledger.provenance import commit_records
from ledger.sketch import make_sketch
from ledger.store import PutBlob, PutEntry, Store
from tests.cli.test_ledger import facts, gossip
from tests.cli.test_page import CHROMIUM, LOUD, Looked, Parsed
from tests.quality.stories import LIST, requests, write

STRICT = """policy = 1
[data.records]
min = 100
[data.duplicates_permille]
max = 50
[data.conflicts_permille]
max = 10
on_fail = "quarantine"
[data.licences]
all_in = ["CC-BY-SA-4.0", "MPL-2.0"]
on_fail = "weight"
permille = 500
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def strict(tmp_path: Path) -> str:
    path = tmp_path / "strict.toml"
    path.write_text(STRICT)
    return str(path)


def check(*words: str | Path, code: int = exits.OK) -> dict[str, Any]:
    return facts("data", "check", *map(str, words), code=code)


def test_sound_data_are_good_to_train_on(tmp_path: Path, strict: str) -> None:
    path = write(tmp_path / "rows.jsonl", requests(300))
    told = gossip("data", "check", str(path), "--licence", "MPL-2.0", "--policy", strict)
    assert told.splitlines()[-1] == f"Good to train on: nothing that the policy {strict} asks for is missing."
    assert "refused" not in told
    assert "broken" not in told


def test_each_planted_fault_is_found_and_comes_with_advice(tmp_path: Path, strict: str) -> None:
    rows = requests(300)
    flipped = [{**row, "label": "benign"} for row in rows if row["label"] == "ad"][:30]
    path = write(tmp_path / "rows.jsonl", [*rows, *rows[:60], *flipped, "{broken"])
    found = check(path, "--policy", strict, code=exits.FINDINGS)
    assert (found["decision"], found["records"], found["malformed"]) == ("refused", 390, 1)
    assert (found["duplicates"], found["conflicts"]) == (60, 30)
    assert "row 391" in found["faults"][0]
    levels = {finding["rule"]: finding["level"] for finding in found["findings"] if finding["rule"]}
    assert levels == {
        "data.duplicates_permille.max": "refused", "data.conflicts_permille.max": "warning",
        "data.licences.all_in": "warning",
    }  # fmt: skip
    assert {rule["rule"]: rule["broken"] for rule in found["rules"]} == {"data.records.min": False} | dict.fromkeys(
        levels, True
    )
    assert all(finding["advice"] for finding in found["findings"])
    told = gossip("data", "check", str(path), "--policy", strict, code=exits.FINDINGS)
    for finding in found["findings"]:  # the same facts in both
        assert finding["what"] in told
        assert finding["advice"] in told
    assert told.splitlines()[-1] == "Not like this: 2 findings must be dealt with first."


def test_one_is_said_of_one(tmp_path: Path, strict: str) -> None:
    rows = requests(300)
    again = {**rows[0], "label": "ad" if rows[0]["label"] == "benign" else "benign"}
    path = write(tmp_path / "rows.jsonl", [*rows, again])
    said = [found["what"] for found in check(path, "--policy", strict)["findings"]]
    assert "1 row contradicts an equal one" in said
    assert "1 set of nearly equal requests with several labels" in said


def test_what_only_warns_does_not_fail_a_script(tmp_path: Path, strict: str) -> None:
    path = write(tmp_path / "rows.jsonl", requests(300))
    found = check(path, "--policy", strict)  # no licence: it would count half
    assert found["decision"] == "accepted"
    assert [finding["level"] for finding in found["findings"]] == ["warning", "note"]


def test_too_few_rows_are_refused_with_value_and_limit(tmp_path: Path, strict: str) -> None:
    path = write(tmp_path / "rows.jsonl", requests(60))
    found = check(path, "--licence", "MPL-2.0", "--policy", strict, code=exits.FINDINGS)
    (rule,) = [rule for rule in found["rules"] if rule["broken"]]
    assert rule == {
        "rule": "data.records.min", "value": 60 - found["held_out"], "limit": 100, "broken": True, "on_fail": "reject",
    }  # fmt: skip


def test_a_promise_of_privacy_is_checked_as_a_run_would_make_it(tmp_path: Path) -> None:
    asks = tmp_path / "asks.toml"
    asks.write_text("policy = 1\n[data.privacy]\npresent = 1\n[data.epsilon_milli]\nmax = 4000\n")
    many = write(tmp_path / "many.jsonl", requests(1_700))
    for epsilon, broken in ((0, {"data.privacy.present"}), (4, set()), (8, {"data.epsilon_milli.max"})):
        found = check(many, "--policy", asks, "--epsilon", str(epsilon), code=exits.FINDINGS if broken else exits.OK)
        assert {finding["rule"] for finding in found["findings"] if finding["level"] == "refused"} == broken
    few = write(tmp_path / "few.jsonl", requests(300))
    refused = check(few, "--epsilon", "4", code=exits.FINDINGS)["findings"][0]
    assert "no honest epsilon exists" in refused["what"]


def test_lists_say_version_and_licence(tmp_path: Path) -> None:
    good, bare = tmp_path / "fields.txt", tmp_path / "bare.txt"
    good.write_text(LIST)
    bare.write_text("! Title: Bare\n||x.test^\n")
    found = check(good, bare)
    assert [(file["kind"], file["title"], file["version"], file["licence"]) for file in found["files"]] == [
        ("list", "Fields", "7", "CC-BY-SA-4.0"), ("list", "Bare", "", ""),
    ]  # fmt: skip
    assert {finding["what"] for finding in found["findings"]} == {
        "bare.txt names no licence", "bare.txt states neither version nor date",
    }  # fmt: skip
    assert found["rules"] == []  # of the default policy none is about sources, and there are no rows to judge


def test_what_files_say_reaches_a_terminal_as_plain_text(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [*requests(9), json.dumps({**requests(1)[0], "type": "\x1b[2J\u202ex"})])
    fields = tmp_path / "fields.txt"
    fields.write_text(
        "! Title: \u202e\x1b[2J\n! Version: [red]\x1b]0;x\x07\u2066v7\n! Licence: [bold]\u2066see\n||a.test^\n"
    )
    told = gossip("data", "check", str(path), str(fields), code=exits.FINDINGS)
    assert "v7" in told
    assert all(char.isprintable() or char == "\n" for char in told)
    assert "[red] ]0;x v7" in told  # which means nothing there


def test_a_narrow_terminal_cuts_the_last_column_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "50")
    render.table(("", "rule", "says"), [("broken", "data.records.min", "at least " + "many " * 30)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "broken" in line]
    assert line.startswith("broken  data.records.min  at least many")
    assert len(line) <= 50


def test_a_page_is_never_written_over_what_was_read(tmp_path: Path, strict: str) -> None:
    path = write(tmp_path / "rows.jsonl", requests(300))
    link = tmp_path / "link.html"
    link.symlink_to(path)
    before = path.read_bytes(), Path(strict).read_bytes()
    for out in (path, link, Path(strict)):
        told = gossip("data", "check", str(path), "--policy", strict, "--html", str(out), code=exits.USAGE)
        assert (told.count("\n"), "would overwrite what is read" in told) == (1, True)
    assert (path.read_bytes(), Path(strict).read_bytes()) == before


def test_a_file_with_square_brackets_in_its_name_is_shown_by_it(tmp_path: Path, strict: str) -> None:
    path = write(tmp_path / "rows[may].jsonl", requests(300))
    assert "\nrows[may].jsonl " in gossip("data", "check", str(path), "--policy", strict)
    assert check(path, "--policy", strict)["files"][0]["name"] == "rows[may].jsonl"


def test_wrong_words_are_usage(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", requests(3))
    for words in (
        [tmp_path / "none.jsonl"], [path, tmp_path / "none.jsonl"], [path, "nosuchswarm"], [path, "--dir", tmp_path],
        [path, "--policy", path], [path, "--policy", tmp_path / "none.toml"], [path, "--licence", "a; b"],
        [path, "--html", tmp_path / "none" / "page.html"],
    ):  # fmt: skip
        gossip("data", "check", *map(str, words), code=exits.USAGE)


# ------------------------------------------------------------------ in a swarm


def new(tmp_path: Path, policy: str = "") -> tuple[Path, str]:
    """A founder's directory, with another policy if one is given, and the swarm's id."""
    made = facts(
        "new", "fields", "--dir", str(tmp_path / "peer"), "--name", "anna", *(["--policy", policy] if policy else [])
    )
    return tmp_path / "peer", made["swarm"]


def publish(place: Path, swarm: str, rows: list[dict[str, Any]], folder: Path) -> None:
    """As if a peer called bert had joined, and published that data set."""
    from gossip.filterlists.requests import read_requests

    leaves = bytearray()
    pairs = ((row.key, row.value) for row in read_requests(write(folder / "bert.jsonl", rows)))
    made = commit_records(pairs, public_salt(swarm), keep=leaves.extend)
    sketch = make_sketch(leaves)
    chain = {"v": FORMAT_VERSION, "swarm": swarm, "time": 0, "meets": [], "seen": [], "heads": EMPTY_HEADS}
    enrol = encode_entry(
        Enrol(**chain, seq=0, prev="", key=PrivateKey.generate().public.hex(), next="0" * 64, sponsor="", name="bert")
    )
    data = encode_entry(
        Data(
            **chain, seq=1, prev=entry_hash(enrol), root=made.root, records=made.records, labels={}, duplicates=0,
            features="url-grams/1", zone="public", sources=[], sketch=sha256(sketch).hexdigest(),
            sketch_bytes=len(sketch),
        )
    )  # fmt: skip
    with Store(places.store_path(place)) as store:
        log = entry_hash(enrol)
        store.commit([PutEntry(log, 0, enrol), PutEntry(log, 1, data), PutBlob(sha256(sketch).hexdigest(), sketch)])


def test_overlap_with_public_data_of_the_swarm_is_shown(tmp_path: Path) -> None:
    place, swarm = new(tmp_path)
    publish(place, swarm, requests(400), tmp_path)
    mine = write(tmp_path / "mine.jsonl", requests(400))
    other = write(tmp_path / "other.jsonl", requests(400, 5_000))
    found = check(mine, "--dir", place)
    assert [(each["name"], each["records"], each["permille"]) for each in found["overlaps"]] == [("bert", 400, 1000)]
    assert "about 100% of these records are in bert's public data" in [each["what"] for each in found["findings"]]
    assert [each["permille"] for each in check(other, "--dir", place)["overlaps"]] == [0]
    told = gossip("data", "check", str(mine), "--dir", str(place))
    assert "public data of" in told
    assert "about 100%" in told


def test_the_zone_of_a_file_and_the_policy_in_force_count(tmp_path: Path) -> None:
    place, _ = new(tmp_path)
    path = write(tmp_path / "mine.jsonl", requests(300))
    public_only = tmp_path / "public.toml"
    public_only.write_text("policy = 1\n[data.public]\nmin = 1\n")
    assert check(path, "--dir", place)["policy"]["of"] == "policy 0 of fields"
    refused = check(path, "--dir", place, "--policy", public_only, code=exits.FINDINGS)
    assert refused["zone"] == "private"
    assert "gossip data zone FILE public" in refused["findings"][0]["advice"]
    gossip("data", "zone", str(path), "public", "--yes", "--dir", str(place))
    fields = tmp_path / "fields.txt"
    fields.write_text(LIST)  # a list that labelled the data is no part of them, and has no zone
    assert check(path, fields, "--dir", place, "--policy", public_only)["zone"] == "public"


def test_labels_are_held_against_the_lists_that_the_policy_pins(tmp_path: Path) -> None:
    """What others will find when they ask for records of public data, told beforehand."""
    ads = tmp_path / "ads.txt"
    ads.write_text("||ads.test^\n")
    rules = tmp_path / "pins.toml"
    rules.write_text(
        f'policy = 1\n[labels.ad]\nads = "{sha256(ads.read_bytes()).hexdigest()}"\n'
        "[opened.wrong_labels_permille]\nmax = 50\n"
    )
    place = tmp_path / "peer"
    gossip("new", "fields", "--dir", str(place), "--policy", str(rules))
    rows = [{**row, "label": "benign"} for row in requests(300)]
    rows += [{**row, "url": row["url"].replace("cdn.test", "ads.test"), "label": "ad"} for row in requests(300, 400)]
    sound = write(tmp_path / "sound.jsonl", rows)
    flipped = write(tmp_path / "flipped.jsonl", [{**row, "label": "benign"} for row in rows])
    without = check(sound, "--dir", place)
    assert "opened.wrong_labels_permille.max" not in {rule["rule"] for rule in without["rules"]}
    assert [(found["level"], found["what"]) for found in without["findings"][:1]] == [("warning", UNLABELLED)]
    assert "gossip policy pin" in without["findings"][0]["advice"]
    gossip("policy", "pin", str(ads), "--dir", str(place))
    (rule,) = check(sound, "--dir", place)["rules"]
    assert (rule["rule"], rule["value"], rule["broken"]) == ("opened.wrong_labels_permille.max", 0, False)

    private = check(flipped, "--dir", place)
    assert private["findings"][0]["level"] == "warning"
    assert 400 < private["rules"][0]["value"] < 600
    gossip("data", "zone", str(flipped), "public", "--yes", "--dir", str(place))
    public = check(flipped, "--dir", place, code=exits.FINDINGS)
    assert (public["findings"][0]["level"], public["decision"]) == ("refused", "refused")
    assert "labelled unlike the pinned lists" in public["findings"][0]["what"]


def test_without_an_engine_it_is_said_that_labels_are_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adblock", None)  # as if it were not installed
    ads = tmp_path / "ads.txt"
    ads.write_text("||ads.test^\n")
    rules = tmp_path / "pins.toml"
    rules.write_text(f'policy = 1\n[labels.ad]\nads = "{sha256(ads.read_bytes()).hexdigest()}"\n')
    gossip("new", "fields", "--dir", str(tmp_path / "peer"), "--policy", str(rules))
    told = gossip("policy", "pin", str(ads), "--dir", str(tmp_path / "peer"))
    assert "labels cannot be checked here: install the extra named lists: pip install adblock" in told
    assert facts("policy", "pin", str(ads), "--dir", str(tmp_path / "peer"))["labels_checked"] is False
    sound = write(tmp_path / "sound.jsonl", requests(300))
    (found,) = [one for one in check(sound, "--dir", tmp_path / "peer")["findings"] if one["what"] == UNLABELLED]
    assert (found["level"], found["advice"]) == ("warning", "install the extra named lists: pip install adblock")
    told = gossip("data", "check", str(sound), "--dir", str(tmp_path / "peer"))
    assert "Good to train on: the swarm would take it, with " in told.splitlines()[-1]


def test_nothing_is_written_and_no_node_is_needed(tmp_path: Path) -> None:
    place, _ = new(tmp_path)
    path = write(tmp_path / "mine.jsonl", requests(30))
    before = {file: file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file() and "-" not in file.name}
    check(path, "--dir", place)
    after = {file: file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file() and "-" not in file.name}
    assert before == after


# ------------------------------------------------------------------ the page

HOSTILE = "<script>alert(1)</script>\u202e\" onload=alert(1) '"


@pytest.fixture
def page(tmp_path: Path) -> str:
    """Of data in which everything that can be chosen is as hostile as can be."""
    rows = requests(120)
    bad = [json.dumps({**rows[0], "type": HOSTILE}), json.dumps({**rows[0], "url": HOSTILE})]
    path = write(tmp_path / "<b>rows<b>.jsonl", [*rows, *rows[:9], *bad])
    fields = tmp_path / "fields.txt"
    fields.write_text(f"! Title: {HOSTILE}\n! Version: </style>{HOSTILE}\n! Licence: {HOSTILE}\n||a.test^\n")
    out = tmp_path / "page.html"
    told = gossip("data", "check", str(path), str(fields), "--html", str(out), code=exits.FINDINGS)
    assert told.splitlines()[-1] == f"wrote   {out}"
    return out.read_text(encoding="utf-8")


def test_the_page_says_what_the_table_says(page: str) -> None:
    assert "<strong>Not like this</strong>" in page
    assert "2 rows cannot be used" in page
    assert "<b>129</b><span>records</span>" in page
    assert "<b>9</b><span>exact duplicates, 7.0%</span>" in page
    assert page.count("<rect") >= 3 + 2  # three labels, and what repeats
    for part in ("Label balance", "Rows that repeat", "Most requests go to", "Rule by rule"):
        assert f"<h2>{part}</h2>" in page


def test_nothing_in_it_acts_or_leaves(page: str) -> None:
    parsed = Parsed(page)
    attributes = [(name, value) for _, attrs in parsed.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    assert [value for name, value in attributes if name in ("src", "href", "action")] == ["data:,"]
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert "script-src 'none'" in next(attrs["content"] or "" for _, attrs in parsed.tags if attrs.get("http-equiv"))
    assert "alert(1)" in page  # it is there, as text
    assert "\u202e" not in page


@pytest.mark.skipif(CHROMIUM is None, reason=LOUD)
def test_a_browser_shows_it_without_an_error_or_a_request(page: str, tmp_path: Path) -> None:
    looked = Looked(page, tmp_path / "looked")
    assert looked.errors == []
    assert looked.asked == set()
    assert "Label balance" in looked.dom


def test_a_page_without_a_script_allows_none() -> None:
    assert "script-src 'none'" in document("t", "", "").replace("&#x27;", "'")
    assert "<script>" not in document("t", "", "")
