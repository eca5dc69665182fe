"""What the live view and `gossip status` say of other networks."""

from __future__ import annotations

from typing import Any

import pytest

from cli.beyond import beyond, troubles
from cli.concerns import concerns
from tests.cli.test_live import TAIL, board, drawn, status
from tests.transport.test_tickets import NODE, RELAY


def wide(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "peer_id": "12D3KooWFy8BjPcNCDW5uEPyzrqWqjycHgv1FWC7Kx8jQ1Jbunp5", "state": "ready", "text": "",
        "bootstrap": [{"address": NODE, "connected": True, "text": ""}],
        "relays": [
            {"address": RELAY, "reserved": True, "until": 1_767_229_200, "text": ""},
            {"address": RELAY.replace("203.0.113.7", "198.51.100.9"), "reserved": False, "until": None,
             "text": "it is over its limits; another try follows in 32 s"},
        ],
        "found": 4, "connected": 3, "announced": 12, "heard": 31, "unread": 0, "bytes_sent": 1, "bytes_received": 2,
    }  # fmt: skip
    return {**value, **changes}


def peer(**changes: Any) -> dict[str, Any]:
    shown = status(1, "alder", tail=TAIL, wide=wide())
    shown["links"][0]["backend"] = shown["links"][2]["backend"] = "libp2p"
    return {**shown, **changes}


def test_a_peer_of_one_network_says_nothing_of_others() -> None:
    plain = status(1, "alder", wide=None)
    assert beyond(plain, 80) == beyond(status(1, "alder"), 80) == troubles(plain) == []
    assert "other networks" not in drawn(board((plain,)))


def test_the_view_says_through_whom_a_peer_is_reached_and_what_goes_by_which_way() -> None:
    lines = drawn(board((peer(address="192.0.2.7:4100"),))).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    said = [line.strip() for line in lines]
    assert "other networks: through 1 of 2 relays, 1 of 1 bootstrap; 3 members there" in said
    assert "2 of 3 links over libp2p: no data channel could be made" in said
    near = beyond(peer(address="127.0.0.1:4100"), 120)
    assert near[-1].endswith("no data channel could be made (on loopback: add --interface IF)")
    assert [line.split()[1] for line in said if " up 0:" in line] == ["libp2p", "aiortc", "libp2p"]
    assert "! relay 198.51.100.9:4001: it is over its limits; another try follows in 32 s" in said


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("starting", ["other networks: starting libp2p"]),
        ("alone", ["other networks: alone, for no relay or bootstrap answers; it goes on trying"]),
        ("off", []),
    ],
)
def test_what_is_not_there_yet_is_said_calmly(state: str, told: list[str]) -> None:
    shown = status(1, "alder", wide=wide(state=state, text="libp2p 0.7.0 is too old"))
    assert beyond(shown, 80) == told
    worries = concerns(shown, 80)
    assert [line for line in worries if "libp2p 0.7.0" in line] == (
        ["! other networks are out of reach: libp2p 0.7.0 is too old"] if state == "off" else []
    )
    assert any("over its limits" in line for line in worries) == (state == "alone")  # what was tried


def test_troubles_out_there_fit_the_screen_and_few_are_told() -> None:
    nodes = [
        {"address": NODE.replace("4001", str(port)), "connected": False, "text": "no answer " * 60}
        for port in range(4001, 4009)
    ]
    lines = concerns(status(1, "alder", wide=wide(state="alone", bootstrap=nodes, relays=[])), 80)
    assert len([line for line in lines if line.startswith("! bootstrap boot.example.org:400")]) == 2
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 6


def test_a_wrong_key_is_told_once_of_a_node_that_is_relay_and_bootstrap_with_the_advice_on_the_screen() -> None:
    text = "it answers as 12D3KooWDhuq...x9Qz, not as 12D3KooWFy8B...unp5; check the address"
    both = [{"address": RELAY, "connected": False, "reserved": False, "until": None, "text": text}]
    lines = concerns(status(1, "alder", wide=wide(state="alone", bootstrap=both, relays=both)), 80)
    said = " ".join(" ".join(lines).split())
    assert said.count(text) == 1
    assert f"! relay and bootstrap 203.0.113.7:4001: {text}" in said


def test_one_screen_holds_all_of_it() -> None:
    """A peer with every line that there can be still shows its links, and what is wrong."""
    shown = peer(
        pace={"tempo": "eager", "steps": 16, "declared": 64, "steps_s": 310, "density_permille": 1000, "is_full": False,
              "bytes_s": 0},
        machine={"cores": 2, "of_cores": 4, "load": 1.3}, role="trainer", expires=0,
    )  # fmt: skip
    said = drawn(board((shown,)))
    assert len(said.splitlines()) <= 24
    assert "other networks" in said
    assert "! relay 198.51.100.9:4001" in said
