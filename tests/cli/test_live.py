"""The live view, as captured text: 80 by 24, with NO_COLOR, piped, narrow, and with a hostile peer.

The snapshots lie in snapshots/; GOSSIP_SNAPSHOTS=write writes them anew, for reading in a diff.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from cli import live, running
from gossip.events import Note

SNAPSHOTS = Path(__file__).parent / "snapshots"


def status(number: int, name: str, **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": f"{number:064x}", "name": name, "swarm_name": "demo", "state": "training", "detail": "",
        "address": f"127.0.0.1:4123{number}", "transport": "aiortc", "duty_percent": 100,
        "links": [
            {"peer": f"{other:064x}", "name": f"peer{other}", "backend": "aiortc", "up_s": 12.5 + other,
             "bytes_sent": 120_000 * other, "bytes_received": 90_000 * other}
            for other in range(1, 5) if other != number
        ],
        "rounds": 30 + number, "epochs": 12.5 * number, "updates": 28 + number, "merged": 90, "entries": 121,
        "members": 4, "staleness": 0.25 * number, "weight": 30_000, "bytes_sent": 1_234_567, "bytes_received": 987_654,
        "rss_mb": 312.0, "alone": {"pr_auc": 0.871 + number / 100, "f1": 0.8},
        "swarm_scores": {"pr_auc": 0.95 + number / 500, "f1": 0.9}, "model_hash": "9f3c" + "0" * 60, "heads": {},
        "missing": 0, "first_merge_at": 1_767_225_605.0, "started_at": 1_767_225_600.0, "tail": [],
    }  # fmt: skip
    return {**value, **changes}


TAIL = [
    {"peer": f"{i % 4 + 1:064x}", "name": ("alder", "birch", "cedar", "elder")[i % 4], "seq": 20 + i, "kind": kind,
     "text": text}
    for i, (kind, text) in enumerate(
        [("update", "1.4 KB, 32 steps, weight .44"), ("update", "1.3 KB, 32 steps, weight .41"),
         ("snapshot", "64 updates folded, model 9f3c...e1"), ("update", "1.4 KB, 32 steps, weight .52")] * 2
    )
]  # fmt: skip
FOUR = (
    status(1, "alder", tail=TAIL),
    status(2, "birch"),
    status(3, "cedar", duty_percent=33, rounds=11, updates=10),
    status(4, "elder"),
)
WITNESSED = status(
    1, "alder", tail=TAIL, heads={f"{1:064x}": 52}, witnessed=48, witnesses=["birch", "cedar", "elder"],
    final_at=1_767_225_600.0 + 180, up_s=900.0,
)  # fmt: skip
HISTORY = {
    f"{1:064x}": [0.31, 0.52, 0.74, 0.90, 0.94, 0.951, 0.952],
    f"{2:064x}": [0.28, 0.61, 0.88, 0.93, 0.954],
    f"{3:064x}": [0.40, 0.956],
}


def board(peers: tuple[dict[str, Any], ...] = FOUR, **changes: Any) -> live.Board:
    facts: dict[str, Any] = {
        "title": "gossip demo: 4 peers, separate processes on this machine", "elapsed_s": 23.4, "peers": peers,
        "history": HISTORY, "footer": "Ctrl-C ends all of it",
    }  # fmt: skip
    return live.Board(**{**facts, **changes})


def drawn(shown: live.Board, *, width: int = 80, height: int = 24, terminal: bool = False, **options: Any) -> str:
    out = Console(file=io.StringIO(), width=width, height=height, force_terminal=terminal, markup=False,
                  highlight=False, emoji=False, legacy_windows=False, **options)  # fmt: skip
    out.print(live.view(shown, width, height, unicode=options.get("color_system") != "ascii"))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


CASES = {
    "starting": lambda: drawn(board(tuple({"name": n} for n in ("alder", "birch", "cedar", "elder")), history={})),
    "training": lambda: drawn(board()),
    "training_colour": lambda: drawn(board(), terminal=True, color_system="standard"),
    "training_no_color": lambda: drawn(board(), terminal=True, no_color=True, color_system="standard"),
    "narrow": lambda: drawn(board(), width=60),
    "one_peer": lambda: drawn(board(FOUR[:1], title="gossip: demo", footer="Ctrl-C stops it")),
    "one_peer_witnessed": lambda: drawn(board((WITNESSED,), title="gossip: demo", footer="Ctrl-C stops it")),
    "one_peer_alone": lambda: drawn(board((status(1, "alder", links=[], updates=0, swarm_scores=None),))),
    "sixteen": lambda: drawn(board(tuple(status(i, f"peer{i}", tail=TAIL) for i in range(16)))),
    "piped_line": lambda: live.line(board()) + "\n",
}


@pytest.mark.parametrize("case", CASES)
def test_the_view_looks_as_it_did(case: str) -> None:
    text, kept = CASES[case](), SNAPSHOTS / f"{case}.txt"
    if os.environ.get("GOSSIP_SNAPSHOTS") == "write":
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "case", ["starting", "training", "one_peer", "one_peer_witnessed", "one_peer_alone", "sixteen"]
)
def test_it_fits_80_by_24(case: str) -> None:
    lines = CASES[case]().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_colour_only_colours() -> None:
    """What is said by colour is also said in words: without it the text is the same."""
    from rich.text import Text

    coloured = Text.from_ansi(CASES["training_colour"]()).plain.splitlines()
    assert [line.rstrip() for line in coloured] == [line.rstrip() for line in CASES["training"]().splitlines()]
    assert "\x1b[3" not in CASES["training_no_color"]()  # NO_COLOR: bold and dim may stay, colours may not


def test_it_speaks_of_the_step_that_everybody_waits_for() -> None:
    states = [
        status(1, "a", state="starting"),
        status(2, "b", state="compiling"),
        status(3, "c", state="importing jax"),
    ]
    assert "Importing" in live.headline(states[1:])
    assert "Compiling" in live.headline(states[1:2])
    assert live.headline(states, "Comparing.") == "Comparing."
    mixed = live.headline([*FOUR[:2], status(3, "c", state="importing jax"), status(4, "d", state="compiling")])
    assert mixed == "Training has begun in 2 of 4 peers; the others are still importing."
    assert live.headline([*FOUR[:2], {"state": "waiting"}]).endswith("2 of 3 peers; the others wait for a processor.")


def test_a_joiner_that_is_given_the_ledger_says_how_far_it_is() -> None:
    joiner = status(1, "a", state="joining", entries=1234, missing=20_000)
    told = live.headline([joiner])
    assert told == "Joining: fetches and checks the ledger; 1,234 entries held, 20,000 missing."
    assert len(told) <= 80
    for waiting in ({**joiner, "links": []}, {**joiner, "entries": 1, "missing": 0}):
        assert "find one another by mDNS" in live.headline([waiting])
    assert live.headline([status(2, "b", state="joining", links=[]), joiner]) == told


def test_a_peer_that_reads_its_data_says_how_far_it_is() -> None:
    reading = {"rows": 120_000, "bytes": 43, "of": 100}
    peer = status(1, "a", state="reading data", reading=reading)
    told = live.headline([peer])
    assert told == "Reading data: [==========..............] 43%, 120,000 rows so far."
    assert live.headline([{**peer, "reading": reading | {"bytes": 100}}]).startswith(f"Reading data: [{'=' * 24}] 100%")
    for other in ([{**peer, "reading": None}], [{**peer, "reading": reading | {"of": 0}}], [peer, status(2, "b")]):
        assert "%" not in live.headline(other)


REFUSED = (
    "2 peers condemn your data set (entry 1): 91.2% of the records it showed have a label that the lists do not give"
)


def test_what_others_have_against_a_contribution_stays_in_view_with_what_to_do() -> None:
    policy = {"number": 1, "hash": "5d" * 32, "pins_missing": ["easylist", "\x1b[31mcanary"]}
    worried = status(1, "alder", refusals=["older", "old", REFUSED], policy=policy, tail=TAIL)
    shown = drawn(board((worried,)))
    words = " ".join(shown.split())
    assert f"! {REFUSED}" in words
    assert "older" not in words
    assert "2 files that this peer lacks to check others: easylist, " in words
    assert "gossip policy pin FILE" in words
    assert "\x1b" not in shown
    assert len(shown.splitlines()) <= 24
    assert "!" not in drawn(board((status(1, "alder", refusals=[], policy=policy | {"pins_missing": []}),)))


def test_what_a_promise_of_privacy_has_spent_is_in_view_beside_what_is_witnessed() -> None:
    promised = {**WITNESSED, "privacy": {"epsilon": 8.0, "delta": 1e-6, "spent": 0.894}}
    shown = drawn(board((promised,)))
    assert "witnessed 48 of 52 by birch, cedar, elder; final snapshot 12:00 ago; privacy" in shown
    assert "privacy 0.89 of 8 spent" in " ".join(shown.split())
    assert "privacy 0.89 of 8 spent" in drawn(board((status(1, "alder", privacy=promised["privacy"]),)))
    assert max(map(len, shown.splitlines())) <= 80
    assert "privacy" not in drawn(board((WITNESSED,)))


def test_leaders_and_their_sums_are_in_view_where_there_are_any() -> None:
    said = {"leads": True, "made": 12, "leaders": ["birch", "ce\x1b[31mdar"], "used": 3, "false": 1, "lent": 48}
    shown = drawn(board((status(1, "alder", bundles=said),)))
    assert "leads: 12 bundled sums made for others" in shown
    assert "3 sums used, 1 false; 48 updates lent" in shown
    assert "listens to birch, ce" in shown
    assert "\x1b" not in shown
    calm = {"leads": False, "made": 0, "leaders": [], "used": 0, "false": 0, "lent": 0}
    shown = drawn(board((status(1, "alder", bundles=calm),)))
    assert "sums" not in shown


def test_who_lacks_an_engine_for_the_lists_of_the_policy_sees_how_to_get_one() -> None:
    policy = {"number": 1, "hash": "5d" * 32, "pins_missing": [], "lacks_engine": True}
    words = " ".join(drawn(board((status(1, "alder", policy=policy),))).split())
    assert "! adblock is not installed: this peer cannot check others' labels" in words
    assert "pip install 'gossip-swarm[lists]'" in words
    assert "adblock" not in drawn(board((status(1, "alder", policy=policy | {"lacks_engine": False}),)))


def test_a_verdict_on_an_own_contribution_is_a_line_of_its_own_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    shown = running._Shown("plain")
    shown.note(Note("verdict", {"own": False, "text": "condemns birch's update"}))
    assert capsys.readouterr().out == ""
    shown.note(Note("verdict", {"own": True, "text": REFUSED}))
    assert REFUSED in capsys.readouterr().out


def test_what_weighs_stays_for_a_while_and_then_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    condemned = Note("condemned", {"own": False, "text": "cat's 9 updates were taken out of the model"})
    snapshot = Note("snapshot", {"seq": 4, "model": "ab" * 32, "updates": 12})
    shown = running._Shown("live")
    shown.note(snapshot)
    shown.note(condemned)
    shown.note(snapshot)
    assert shown.words == "cat's 9 updates were taken out of the model"
    monkeypatch.setattr(shown, "_words_until", 1e-9)  # some seconds later
    assert shown.board(status(1, "alder")).words == ""
    shown.note(snapshot)
    assert shown.words.startswith("snapshot: 12 updates folded")


TROUBLE = (
    "alder does not let us in: this invite was used up by another peer, or its node was started anew meanwhile; ask "
    "for a new invite, stop this node, and enter with it: gossip join INVITE"
)


@pytest.mark.parametrize("width", [60, 80])
def test_trouble_is_shown_whole_in_the_live_view(width: int) -> None:
    shown = running._Shown("live")
    shown.note(Note("trouble", {"text": TROUBLE}))
    text = drawn(board(FOUR[:1], words=shown.words), width=width)
    assert TROUBLE in " ".join(text.split())
    assert len(text.splitlines()) <= 24


def test_trouble_is_a_line_of_its_own_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    running._Shown("plain").note(Note("trouble", {"text": TROUBLE}))
    assert capsys.readouterr().out.endswith(f"  trouble: {TROUBLE}\n")


def test_it_never_names_a_time_left() -> None:
    everything = "".join(draw() for draw in CASES.values()).lower()
    assert not any(word in everything for word in (" left", "eta", "remaining", "%"))
    assert "epochs" in everything


def test_a_hostile_name_stays_in_its_cell() -> None:
    mean = "\x1b[2J\x1b]0;owned\x07[bold red]evil[/]\n\u202eliar" + "x" * 200
    tail = [{"peer": "0" * 64, "name": mean, "seq": 1, "kind": mean, "text": mean}]
    text = drawn(board((status(1, mean, tail=tail, state=mean), *FOUR[1:]), title=mean), terminal=False)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "evilliar" in text.replace(" ", "")


def test_a_score_not_yet_measured_is_no_zero() -> None:
    row = next(line for line in CASES["starting"]().splitlines() if line.startswith("alder"))
    assert "–" in row
    assert ".000" not in row


def test_the_course_is_on_one_scale_for_all_peers() -> None:
    assert live.spark([0.0, 1.0], 0.0, 1.0) == "▁▇"
    assert live.spark([0.95, 0.951], 0.95, 0.951) == "▁▁"  # noise in the third digit is not a mountain
    assert len(live.spark([i / 100 for i in range(100)], 0, 1)) == live.SPARK_POINTS
    assert live.spark([0.0, 1.0], 0.0, 1.0, unicode=False) == "_#"


def test_history_keeps_first_and_last_of_a_long_run() -> None:
    history = live.History()
    for round_number in range(1000):
        history.add([status(1, "alder", rounds=round_number, swarm_scores={"pr_auc": round_number / 1000})])
    points = history.points[f"{1:064x}"]
    assert len(points) < 4 * live.SPARK_POINTS
    assert (points[0], points[-1]) == (0.0, 0.999)


def test_the_picture_is_whole_and_fetches_nothing() -> None:
    svg = live.picture(board())
    ElementTree.fromstring(svg)
    assert ">alder</text>" in svg
    assert ">&#160;" not in svg  # padding: some viewers drop it, and columns lose their edge
    assert not any(word in svg for word in ("@font-face", "url(http", 'url("', "src", "href", "<script"))
    assert svg == live.picture(board())


WORDS = "crumpled-backwater-tumor-yesteryear"
KEY = "5d" * 32


def test_the_words_of_a_guest_are_on_both_ends_for_people_to_compare() -> None:
    guest = {"words": WORDS, "role": "trainer", "how": "code", "key": KEY}
    here = drawn(board((status(1, "alder", guests=[guest]),)))
    there = drawn(board((status(2, "birch", state="joining", words=WORDS),)))
    assert f"at the door, to be trainer (code): {WORDS}" in here
    assert f"at their door: {WORDS}" in there
    seated = {**guest, "member": True, "peer": "33c68ad9" * 8, "name": "rae", "role": "admin"}
    inside = drawn(board((status(1, "alder", guests=[seated]),)))
    assert f"let in: rae 33c68ad9 (code, admin): {WORDS}" in inside
    assert f"let in: {WORDS}" in drawn(board((status(2, "birch", role="trainer", words=WORDS),)))
    assert "Compare this meeting's words" in here
    assert "Compare this meeting's words" in there
    assert WORDS not in drawn(board((status(1, "alder"),)))


def test_the_words_are_lines_of_their_own_in_a_pipe_and_events_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"words": WORDS, "role": "trainer", "key": KEY, "how": "allowed"}
    shown = running._Shown("plain")
    shown.note(Note("guest", fields))
    shown.note(Note("knocked", {"words": WORDS, "key": KEY}))
    guest, knocked = capsys.readouterr().out.splitlines()
    assert f"at the door, to be trainer by its key: {WORDS} {running.SAME}" in guest
    assert f"at their door: {WORDS} {running.SAME}" in knocked
    running._Shown("json").note(Note("guest", fields))
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["words"], event["how"]) == ("guest", WORDS, "allowed")


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("code", {"number": 7, "why": "used", "given": 1}, "code number 7 was used up"),
        ("code", {"number": 7, "why": "burnt", "given": 0}, "burnt after three wrong tries; gossip invite makes a new"),
        ("revoked", {"peer": "ab", "name": "eve", "own": False}, "eve was put out by the swarm's admins"),
        ("revoked", {"peer": "ab", "name": "eve", "own": True}, "this peer was put out by the swarm's admins"),
    ],
)
def test_what_becomes_of_codes_and_members_is_told(kind: str, fields: dict[str, Any], told: str) -> None:
    assert told in running.told(kind, fields)


def test_role_and_end_of_it_are_in_view_and_who_is_out_sees_why() -> None:
    until = status(1, "alder", role="observer", expires=1_801_353_600)
    assert "observer until 2027-01-31" in drawn(board((until,)))
    out = drawn(board((status(1, "alder", state="revoked", revoked_from=40, role=""),)))
    assert "Put out: the swarm's admins have revoked this peer" in out
    assert "nothing of its log counts from entry 40 on" in " ".join(out.split())
    over = drawn(board((status(1, "alder", state="expired", role="trainer", expires=1_801_353_600),)))
    assert "an admin can renew it: gossip members renew" in " ".join(over.split())


def test_two_peers_of_one_name_are_told_apart_by_their_ids() -> None:
    links = [{"peer": f"{digit}" * 64, "name": name} for digit, name in (("a", "eve"), ("b", "eve"), ("c", "dan"))]
    shown = drawn(board((status(1, "alder", links=links),)))
    assert "eve aaaaaaaa" in shown
    assert "eve bbbbbbbb" in shown
    assert "dan cccccccc" not in shown


def test_what_is_open_is_in_view_as_long_as_it_is() -> None:
    code = {"number": 435, "uses": 2, "given": 1, "tries": 3, "expires": 1_801_353_600}
    shown = " ".join(drawn(board((status(1, "alder", open=True, codes=[code], swarm_name="lists"),))).split())
    assert "open: anybody near may enter by the name lists; close it: gossip members open --close" in shown
    assert "code 435: open for 1 peer until 2027-01-31 00:00:00Z" in shown
    burnt = drawn(board((status(1, "alder", spoiled={"number": 435, "left": 0}),)))
    assert "! code 435 is burnt after three wrong tries: make another with: gossip invite" in burnt
    wrong = drawn(board((status(1, "alder", spoiled={"number": 435, "left": 1}),)))
    assert "! somebody typed wrong words for code 435: 1 try is left" in wrong
    assert "open" not in drawn(board((status(1, "alder"),)))


def test_an_admin_whose_word_is_wanted_sees_what_to_type() -> None:
    wanted = {"peer": "5d" * 32, "name": "bert", "since": 7, "by": ["anna"]}
    shown = " ".join(drawn(board((status(1, "alder", wanted_out=[wanted]),))).split())
    assert "! anna wants bert out from entry 7 on, and your word is missing" in shown
    assert "gossip members revoke 5d5d5d5d5d5d --since 7" in shown


def test_who_may_not_come_in_reads_why() -> None:
    why = "the other peer closed the link: cannot be let in as trainer: 1 peers are guests of that house already"
    assert "! the other peer closed the link: cannot be let in" in drawn(board((status(1, "al", turned_away=why),)))


def test_links_that_were_cut_are_counted_with_the_reason_of_the_last() -> None:
    shown = drawn(board((status(1, "alder", cut={"links": 3, "last": "a peer sends too many messages"}),)))
    assert "! 3 links ended by what the far end sent; the last: a peer sends too many messages" in " ".join(
        shown.split()
    )


def test_what_strangers_send_cannot_touch_the_terminal_at_the_door() -> None:
    """A role, words or a reason are our own spelling; should one ever not be, it is cleaned all the same."""
    mean = "\x1b[2J\x1b]0;owned\x07[bold red]evil[/]\u202e"
    guest = {"words": mean, "role": mean, "how": mean, "key": KEY}
    own = status(1, "alder", guests=[guest] * 9, words=mean, role=mean, cut={"links": 1, "last": mean})
    texts = [drawn(board((own,)))]
    texts += [
        running.told(kind, {**dict.fromkeys(("words", "role", "how", "number", "why", "name"), mean), "peer": "ab"})
        for kind in ("guest", "knocked", "code", "revoked", "admitted")
    ]  # fmt: skip
    for text in texts:
        assert not any(bad in text for bad in ("\x1b", "\x07", "\u202e"))
    assert len(texts[0].splitlines()) <= 24


def test_who_has_lost_all_links_is_told_whose_was_the_last_and_when() -> None:
    history = live.History()
    lonely = status(1, "alder", links=[])
    assert history.parted(lonely, 5.0) == ""  # there never was one
    linked = status(1, "alder", links=[{"peer": "c" * 64, "name": "cat"}])
    assert history.parted(linked, 10.0) == ""
    assert history.parted(lonely, 45.2) == "cat 0:35 ago"
    drawn_now = drawn(live.Board("gossip: demo", 45.2, (lonely,), {}, parted=history.parted(lonely, 45.2)))
    assert "none now; last: cat 0:35 ago" in drawn_now
    assert "none yet" not in drawn_now


def test_a_latecomers_view_says_which_model_it_has() -> None:
    late = status(1, "alder", model="from a snapshot, being verified")
    assert "model from a snapshot, being verified" in drawn(live.Board("gossip: demo", 3.0, (late,), {}))
    assert "model" not in drawn(live.Board("gossip: demo", 3.0, (status(1, "alder", model="folded"),), {}))
