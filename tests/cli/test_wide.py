"""What is typed of other networks, what of it is remembered, and what an invitation says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli import exits, remembered, running
from gossip.directory import store_path
from gossip.invites import Beyond, make_card, make_ticket
from gossip.node import NodeConfig
from gossip.node.namespaces import Secrets
from gossip.transport.tickets import Ticket
from gossip.wide.config import INSTALL
from gossip.wide.present import missing
from ledger.private_files import write_private
from ledger.store import PutMeta, Store
from tests.cli.test_control import node
from tests.cli.test_joining import answer, facts, gossip
from tests.transport.test_tickets import NODE, RELAY, WIDE

CIRCUIT = f"{RELAY}/p2p-circuit"
OTHER = NODE.replace("boot.", "other.")
SECRET = bytes(range(32))
STATUS = json.dumps({"ok": True, "wide": None}).encode() + b"\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSIP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[NodeConfig]:
    """What `run` and `join` would run."""
    seen: list[NodeConfig] = []

    def keep(config: NodeConfig, *_: object, **__: object) -> int:
        seen.append(config)
        return exits.OK

    monkeypatch.setattr(running, "run_node", keep)
    return seen


def provide(folder: Path, version: str, patched: pytest.MonkeyPatch) -> None:
    """A libp2p of that version, as far as it is looked at before it is loaded."""
    for name in ("libp2p", "trio"):
        patched.delitem(sys.modules, name, raising=False)
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise AssertionError('nobody loads it here')\n")
    (folder / f"libp2p-{version}.dist-info").mkdir()
    (folder / f"libp2p-{version}.dist-info" / "METADATA").write_text(f"Name: libp2p\nVersion: {version}\n")
    patched.syspath_prepend(str(folder))


@pytest.fixture
def extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provide(tmp_path / "site", "0.8.1", monkeypatch)


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libp2p", None)


def elsewhere(*addresses: str, rendezvous: bytes = SECRET) -> str:
    """A ticket of a swarm that is found from other networks, by its text."""
    gossip("new", "far")
    peer = Path(facts("status", "far")["dir"])
    nodes = tuple(one for one in addresses if not one.endswith("/p2p-circuit"))
    relays = tuple(one.removesuffix("/p2p-circuit") for one in addresses if one.endswith("/p2p-circuit"))
    return make_ticket(peer, ttl_s=600, addresses=("10.0.0.1:4100",), beyond=Beyond(nodes, relays, rendezvous)).text


# ------------------------------------------------------------------ typed, and remembered


@pytest.mark.usefixtures("extra")
def test_what_was_typed_is_told_again_at_the_next_run_until_it_is_taken_back(
    home: Path, started: list[NodeConfig]
) -> None:
    gossip("new", "lists")
    gossip("run", "lists", "--bootstrap", NODE, "--relay", CIRCUIT, "--ice", "stun:192.0.2.1:3478", "--wide-port", "99")
    gossip("run", "lists")
    gossip("run", "lists", "--relay", "", "--ice", "", "--bootstrap", OTHER, NODE)
    gossip("run", "lists")
    said = [(config.bootstrap, config.relays, config.ice, config.wide_port) for config in started]
    assert said[0] == said[1] == ((NODE,), (RELAY,), ("stun:192.0.2.1:3478",), 99)  # of a relay: the node itself
    assert said[2] == said[3] == ((OTHER, NODE), (), (), 99)


@pytest.mark.usefixtures("extra")
def test_a_founder_may_say_it_at_once(home: Path, started: list[NodeConfig]) -> None:
    gossip("new", "lists", "--bootstrap", NODE, "--relay", CIRCUIT, "--ice", "stun:192.0.2.1:3478", "--wide-port", "99")
    gossip("run", "lists")
    (config,) = started
    assert (config.bootstrap, config.relays, config.ice, config.wide_port) == (
        (NODE,), (RELAY,), ("stun:192.0.2.1:3478",), 99,
    )  # fmt: skip
    assert "no multiaddress" in gossip("new", "other", "--relay", "203.0.113.7", code=exits.USAGE)
    assert not (home / "other").exists()


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--bootstrap", "203.0.113.7:4001"), "only a host and a port"),
        (("--bootstrap", CIRCUIT), "name it with --relay"),
        (("--bootstrap", NODE[:-3]), "43 letters of 46"),
        (("--relay", RELAY.replace("/tcp/", "/udp/")), "not supported, TCP is"),
        (("--ice", "stun:192.0.2.1"), "stun:192.0.2.1 is no ICE server: it ends in no port, such as :3478"),
        (
            ("--ice", "foo"),
            "foo is no ICE server: it begins with neither stun: nor turn:; write stun:HOST:PORT, or "
            "turn:USER@HOST:PORT with the password in a file (--turn-password FILE)",
        ),
        (("--ice", "turn:192.0.2.1:3478"), "turn:192.0.2.1:... is no ICE server: it names no user"),
        (("--ice", "turn:anna:s3cret@192.0.2.1"), "turn:...@192.0.2.1 is no ICE server: it ends in no port"),
        (("--ice", "turn:anna@192.0.2.1:3478"), "--turn-password FILE"),
        (("--wide-port", "70000"), "--wide-port"),
        (tuple(word for n in range(9) for word in ("--relay", RELAY.replace("4001", str(4001 + n)))), "at most 8"),
    ],
)
def test_a_slip_is_told_in_one_line_and_not_remembered(
    home: Path, started: list[NodeConfig], words: tuple[str, ...], told: str
) -> None:
    gossip("new", "lists")
    gossip("run", "lists", "--bootstrap", OTHER)
    said = gossip("run", "lists", *words, code=exits.USAGE)
    assert told in said
    assert said.count("\n") == 1
    gossip("run", "lists")
    assert [(config.bootstrap, config.relays, config.ice) for config in started] == [((OTHER,), (), ())] * 2


@pytest.mark.usefixtures("extra", "started")
def test_on_loopback_a_peer_behind_a_relay_is_out_of_reach_of_its_own_network_alone() -> None:
    gossip("new", "lists")
    assert "Other machines cannot reach this peer" in gossip("run", "lists")
    assert "Machines of this network cannot reach this peer" in gossip("run", "lists", "--relay", RELAY)


@pytest.mark.usefixtures("extra")
def test_the_password_of_a_turn_server_is_read_from_a_file_and_shown_nowhere(
    home: Path, started: list[NodeConfig], tmp_path: Path
) -> None:
    file = tmp_path / "turn"
    write_private(file, b"s:3cret@\n")
    gossip("new", "lists")
    server = ("--ice", "turn:anna@192.0.2.1:3478")
    said = gossip("run", "lists", *server, "--turn-password", str(file))
    assert started[0].ice == ("turn:anna:s%3A3cret%40@192.0.2.1:3478",)
    said += gossip("status", "lists") + gossip("status", "lists", "--json") + gossip("key", "show", "lists")
    assert "3cret" not in said
    assert "3cret" not in repr(remembered.Wishes(ice=list(started[0].ice)))
    file.chmod(0o644)
    assert "3cret" not in gossip("run", "lists", *server, "--turn-password", str(file), code=exits.USAGE)
    assert "of no use here" in gossip(
        "run", "lists", "--ice", "stun:192.0.2.1:1", "--turn-password", str(file), code=exits.USAGE
    )
    assert "without a TURN server" in gossip("run", "lists", "--turn-password", str(file), code=exits.USAGE)


# ------------------------------------------------------------------ without the extra


def test_a_peer_of_one_network_does_not_even_look_for_libp2p() -> None:
    gossip("new", "lists")
    program = (
        "import sys\n"
        "from cli import remembered, swarm\n"
        "from pathlib import Path\n"
        "from cli.settings import existing_directory\n"
        "config = remembered.config(existing_directory('lists', None), remembered.Wishes(), None)\n"
        "assert config.bootstrap == ()\n"
        "assert not swarm.wide.left_out(config.directory)\n"
        "print(*(name for name in sys.modules if name.split('.')[0] in ('libp2p', 'trio') or 'gossip.wide' in name))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == []


def test_without_libp2p_what_was_typed_is_refused_before_anything_is_made(
    home: Path, started: list[NodeConfig], no_extra: None
) -> None:
    ticket = elsewhere(CIRCUIT)
    for words in (("--bootstrap", NODE), ("--relay", RELAY), ("--wide-port", "4001")):
        said = gossip("join", ticket, *words, code=exits.USAGE)
        assert "libp2p is not installed" in said
        assert INSTALL in said
        assert said.count("\n") == 1
    assert "libp2p is not installed" in gossip("new", "other", "--relay", RELAY, code=exits.USAGE)
    assert [path.name for path in home.iterdir()] == ["far"]
    assert not started
    gossip("run", "far", "--ice", "stun:192.0.2.1:3478")  # which needs no libp2p
    assert started[0].ice == ("stun:192.0.2.1:3478",)


def test_an_old_libp2p_is_told_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provide(tmp_path / "site", "0.8.0", monkeypatch)
    assert missing() == "libp2p 0.8.0 is too old, 0.8.1 is needed"
    provide(tmp_path / "newer", "0.10.0rc1", monkeypatch)
    assert missing() == ""


def test_an_invitation_from_elsewhere_goes_on_without_libp2p_and_says_what_it_leaves_out(
    started: list[NodeConfig], no_extra: None
) -> None:
    said = gossip("join", elsewhere(CIRCUIT, NODE), "--plain")
    line = "Left out: 1 bootstrap and 1 relay, for libp2p is not installed; this network goes on without."
    assert line in " ".join(said.split())
    (config,) = started
    assert (config.bootstrap, config.relays) == ((), ())
    assert config.ticket is not None
    assert config.ticket.addresses == ("10.0.0.1:4100",)  # which its node knocks at
    assert "Left out" not in gossip("join", elsewhere_again(config), "--json")


def elsewhere_on_lan() -> str:
    return str(facts("invite", "far", "--ticket")["ticket"])


def elsewhere_again(config: NodeConfig) -> str:
    with Store.open_readonly(store_path(config.directory)) as store:
        return (store.find_meta("ticket") or b"").decode()


# ------------------------------------------------------------------ invitations


@pytest.mark.usefixtures("extra")
def test_what_an_invitation_brings_is_remembered_behind_what_was_typed(started: list[NodeConfig]) -> None:
    gossip("join", elsewhere(CIRCUIT, NODE), "--bootstrap", OTHER)
    place = started[0].directory
    gossip("run", "--dir", str(place))
    gossip("run", "--dir", str(place), "--bootstrap", "", "--relay", "")
    gossip("run", "--dir", str(place))
    assert [(config.bootstrap, config.relays) for config in started] == [
        ((OTHER, NODE), (RELAY,)), ((OTHER, NODE), (RELAY,)), ((), ()), ((), ()),
    ]  # fmt: skip
    for config in started:
        assert config.ticket is not None
        assert (config.ticket.bootstraps(), config.ticket.rendezvous) == ((), SECRET)


@pytest.mark.usefixtures("extra")
def test_a_member_that_lost_the_others_takes_a_new_invitation(started: list[NodeConfig]) -> None:
    """A founder that was away while another admin chose where to meet, say."""
    invitation = elsewhere(CIRCUIT, NODE)
    place = str(Path(facts("status", "far")["dir"]))
    assert "a member already" in gossip("join", elsewhere_on_lan(), "--dir", place, code=exits.USAGE)
    said = " ".join(gossip("join", invitation, "--dir", place).split())
    assert "a member already: the invite tells it where the others meet now" in said
    (config,) = started
    assert config.ticket is not None
    assert (config.ticket.rendezvous, config.bootstrap, config.relays) == (SECRET, (NODE,), (RELAY,))


@pytest.mark.usefixtures("extra")
def test_what_an_invitation_brings_can_be_left_out(started: list[NodeConfig]) -> None:
    gossip("join", elsewhere(CIRCUIT, NODE), "--bootstrap", "", "--relay", "")
    assert (started[0].bootstrap, started[0].relays) == ((), ())


@pytest.mark.usefixtures("extra")
def test_no_more_is_remembered_than_a_node_holds_connections_to(started: list[NodeConfig]) -> None:
    own = [RELAY.replace("4001", str(port)) for port in range(1, 8)]
    words = [word for one in own for word in ("--relay", one)]
    far = [f"{RELAY.replace('203.0.113.7', host)}/p2p-circuit" for host in ("192.0.2.1", "192.0.2.2")]
    gossip("join", elsewhere(*far), *words)
    assert started[0].relays == (*own, far[0].removesuffix("/p2p-circuit"))


@pytest.mark.usefixtures("extra")
def test_a_ticket_names_what_the_peer_was_told_and_the_secret_that_members_share(
    home: Path, started: list[NodeConfig]
) -> None:
    gossip("new", "lists")
    gossip("run", "lists", "--bootstrap", NODE, "--relay", RELAY)
    with Store(store_path(home / "lists")) as store:
        store.commit([PutMeta("wide", Secrets(SECRET).data)])
    made = facts("invite", "lists", "--ticket")
    ticket = Ticket.parse(made["ticket"], time.time())
    assert (made["bootstrap"], made["relays"], ticket.rendezvous) == ([NODE], [RELAY], SECRET)
    assert ticket.addresses == (CIRCUIT, NODE)
    said = " ".join(gossip("invite", "lists", "--ticket").split())
    assert "works from other networks: this peer is reached through relay 203.0.113.7:4001 and found through" in said
    assert INSTALL in said
    assert "carries no address" not in said
    key = facts("key", "new", "--out", str(home / "key"))["key"]
    card = Ticket.parse(facts("members", "allow", key, "lists")["card"])
    assert (card.addresses, card.rendezvous) == ((CIRCUIT, NODE), b"")


def test_an_invitation_of_a_peer_that_knows_no_other_network_says_how_it_would(home: Path) -> None:
    gossip("new", "lists")
    said = " ".join(gossip("invite", "lists", "--ticket").split())
    assert "For other networks run this peer with --relay first" in said
    assert "works from other networks" not in said
    with node(home / "lists", answer(bootstrap=[NODE], relays=["/\x1b[31m[bold]x"])):
        told = " ".join(gossip("invite", "lists").split())
    assert "for another network, where a code is not heard: --ticket" in told
    (home / "lists" / "control.sock").unlink(missing_ok=True)
    with node(home / "lists", answer(code=None, bootstrap=[NODE], relays=["/\x1b[31m[bold]x"] * 4), STATUS):
        told = " ".join(gossip("invite", "lists", "--ticket").split())
    assert "reached through relays /x, /x and 2 more and found through bootstrap boot.example.org:4001." in told
    assert "Not now" not in told
    (home / "lists" / "control.sock").unlink(missing_ok=True)
    with node(home / "lists", answer(code=None, bootstrap=[NODE], ticket=WIDE.text), STATUS):
        told = " ".join(gossip("invite", "lists", "--ticket").split())
    assert "without --relay its own network must let others in" in told


def test_an_invitation_says_that_the_relay_by_which_it_is_good_is_not_there_now(home: Path) -> None:
    gossip("new", "lists")
    gone = {"state": "alone", "relays": [{"address": RELAY, "reserved": False, "text": "no answer; trying again"}],
            "bootstrap": [{"address": NODE, "connected": False, "text": ""}]}  # fmt: skip
    status = json.dumps({"ok": True, "wide": gone}).encode() + b"\n"
    with node(home / "lists", answer(code=None, bootstrap=[NODE], relays=[RELAY]), status) as asked:
        told = " ".join(gossip("invite", "lists", "--ticket").split())
    assert [json.loads(line)["command"] for line in asked] == ["invite", "status"]
    assert "Not now, though: relay 203.0.113.7:4001: no answer; trying again. The other machine needs" in told


@pytest.mark.usefixtures("extra")
def test_a_ticket_of_a_peer_that_has_met_nobody_out_there_says_that_it_finds_nobody(
    home: Path, started: list[NodeConfig]
) -> None:
    gossip("new", "lists")
    gossip("run", "lists", "--bootstrap", NODE)
    assert "it finds nobody: this peer knows of no rendezvous yet" in gossip("invite", "lists", "--ticket")
    gossip("run", "lists", "--relay", RELAY)
    assert "works from other networks" in gossip("invite", "lists", "--ticket")  # the inviter itself is found


def test_a_card_says_where_to_knock_and_no_secret(home: Path) -> None:
    """It is shown to anybody, and an open swarm hands it out."""
    gossip("new", "lists")
    card = make_card(home / "lists", beyond=Beyond((NODE,), (RELAY,), SECRET))
    assert card.addresses == (CIRCUIT, NODE)
    assert card.rendezvous == b""
    assert SECRET.hex() not in repr(Beyond((NODE,), (RELAY,), SECRET))
