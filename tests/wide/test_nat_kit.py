"""The kit does what it says: two routers that hold back what nobody asked for, forget, and are gone afterwards."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aioice import stun

from tests.e2e.machines import ROOT, until
from tests.net.lan import inside, require_taps
from tests.wide.nat import HOMES, TwoNats, two_nats
from tests.wide.outsiders import js_command, outsider, stun_command

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("nat")]

LONG_S = 60.0  # for what comes; waited for in full only if the kit is wrong
PORT = 4000

Address = tuple[str, int]


class Ends:
    """UDP sockets in any of the networks, here."""

    def __init__(self, net: TwoNats, stack: ExitStack) -> None:
        self.net, self._stack = net, stack

    def socket(self, at: str, port: int = 0, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        made = self._stack.enter_context(inside(self.net[at], lambda: socket.socket(socket.AF_INET, kind)))
        made.settimeout(LONG_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.net.address(at), port))
        return made

    def seen(self, one: socket.socket, by: socket.socket) -> Address:
        """From where what one sends comes to another, who answers."""
        one.sendto(b"who am I?", by.getsockname())
        text, address = by.recvfrom(100)
        assert text == b"who am I?"
        by.sendto(b"so and so", address)
        assert one.recv(100) == b"so and so"
        return str(address[0]), int(address[1])


@pytest.fixture(params=[False, True], ids=["", "symmetric"], scope="module")
def net(request: pytest.FixtureRequest) -> Iterator[TwoNats]:
    require_taps()  # sockets in other networks are made here as root
    with two_nats(symmetric=request.param) as made:
        yield made


@pytest.fixture
def ends(net: TwoNats) -> Iterator[Ends]:
    with ExitStack() as stack:
        yield Ends(net, stack)


def nothing_came(end: socket.socket) -> bool:
    return not select.select([end], [], [], 0)[0]


def test_who_is_at_home_is_seen_outside_as_the_router(ends: Ends) -> None:
    """From one port towards everybody, or from one each."""
    relay, js = ends.socket("relay"), ends.socket("js")
    for router, people in HOMES.items():
        for name in people:
            one = ends.socket(name)
            here, there = ends.seen(one, relay), ends.seen(one, js)
            assert here[0] == there[0] == ends.net.address(router)
            assert (here == there) is not ends.net.symmetric
            assert ends.seen(one, relay) == here, "and stays who he is"


def test_nobody_outside_reaches_who_did_not_ask(ends: Ends) -> None:
    anna, berta, cleo = (ends.socket(name, PORT) for name in ("anna", "berta", "cleo"))
    relay, other = ends.socket("relay"), ends.socket("relay")
    hole = ends.seen(anna, relay)
    other.sendto(b"from another port", hole)
    ends.socket("js").sendto(b"from another host", hole)
    cleo.sendto(b"from the other home", hole)
    relay.sendto(b"at a port that nobody opened", (hole[0], PORT))
    relay.sendto(b"the last word", hole)
    assert anna.recv(100) == b"the last word", "those before it were dropped, or they would have come before it"
    assert nothing_came(anna)
    for one in (relay, cleo):
        one.sendto(b"by her own address", (ends.net.address("anna"), PORT))
        ends.seen(cleo, relay)
    berta.sendto(b"a neighbour", anna.getsockname())
    assert anna.recv(100) == b"a neighbour"
    assert nothing_came(anna)


def test_two_at_home_meet_in_the_middle_if_their_routers_keep_their_ports(ends: Ends) -> None:
    anna, cleo, relay = ends.socket("anna"), ends.socket("cleo"), ends.socket("relay")
    of_anna, of_cleo = ends.seen(anna, relay), ends.seen(cleo, relay)
    anna.sendto(b"early", of_cleo)  # dropped, and remembered by nobody but her own router
    ends.seen(anna, relay)  # by now it is over
    cleo.sendto(b"through the hole", of_anna)
    anna.sendto(b"and back", of_cleo)
    if ends.net.symmetric:
        ends.seen(cleo, relay)
        ends.seen(anna, relay)
        assert nothing_came(anna)
        assert nothing_came(cleo)
    else:
        assert anna.recv(100) == b"through the hole"
        assert cleo.recv(100) == b"and back"


def test_a_router_that_restarts_forgets_whom_it_let_speak(ends: Ends) -> None:
    anna, cleo, relay = ends.socket("anna"), ends.socket("cleo"), ends.socket("relay")
    listening = ends.socket("relay", PORT, socket.SOCK_STREAM)
    listening.listen()
    call = ends.socket("anna", 0, socket.SOCK_STREAM)
    call.connect(listening.getsockname())
    answered, _ = listening.accept()
    with answered:
        before, of_cleo = ends.seen(anna, relay), ends.seen(cleo, relay)
        ends.net.restart("north")
        relay.sendto(b"to where she was", before)
        answered.send(b"to where she was")
        after = ends.seen(anna, relay)
        assert after[0] == before[0]
        assert after[1] != before[1]
        assert nothing_came(anna), "what went to the old port was dropped"
        assert nothing_came(call), "what went to the old port was dropped"
        call.send(b"of no connection that anybody knows")
        with pytest.raises(ConnectionResetError):
            call.recv(100)
    if not ends.net.symmetric:
        assert ends.seen(cleo, relay) == of_cleo, "the other router restarted not"


def test_mdns_is_heard_at_home_and_nowhere_else(ends: Ends) -> None:
    group = "224.0.0.251"
    ears = {}
    for name in ("berta", "cleo", "relay"):
        ear = ends._stack.enter_context(
            inside(ends.net[name], lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        )
        ear.settimeout(LONG_S)
        ear.bind((group, PORT))
        member = socket.inet_aton(group) + socket.inet_aton(ends.net.address(name))
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        ears[name] = ear
    anna, relay = ends.socket("anna"), ends.socket("relay")
    anna.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ends.net.address("anna")))
    anna.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 32)
    anna.sendto(b"who is here?", (group, PORT))
    assert ears["berta"].recv(100) == b"who is here?"
    ends.seen(anna, relay)
    assert nothing_came(ears["cleo"])
    assert nothing_came(ears["relay"])


def test_the_stun_server_tells_where_one_is_seen(ends: Ends) -> None:
    net = ends.net
    anna = ends.socket("anna")
    question = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    with outsider(stun_command(net.address("stun")), net["stun"].enter) as server:
        assert server.address == "stun:198.18.0.4:3478"
        anna.sendto(b"\0" * 40, (net.address("stun"), 3478))  # no question: no answer
        anna.sendto(bytes(question), (net.address("stun"), 3478))
        answer = stun.parse_message(anna.recv(1000))
    assert answer.transaction_id == question.transaction_id
    host, port = answer.attributes["XOR-MAPPED-ADDRESS"]
    assert host == net.address("north")
    if not net.symmetric:
        assert (host, port) == ends.seen(anna, ends.socket("relay"))


@pytest.mark.parametrize("net", [False], ids=[""], indirect=True)
def test_a_js_node_is_reached_from_a_home_dies_and_returns_as_who_it_was(net: TwoNats, ends: Ends) -> None:
    with outsider(js_command(net.address("js")), net["js"].enter) as js:
        first = js.address
        assert first.startswith("/ip4/198.18.0.3/tcp/4001/p2p/12D3KooW")
        call = ends.socket("anna", 0, socket.SOCK_STREAM)
        call.connect((net.address("js"), 4001))
        hello = b"\x13/multistream/1.0.0\n"
        call.send(hello)
        with call.makefile("rb") as answer:
            assert answer.read(len(hello)) == hello
        js.kill()
        js.again()
        assert js.address == first


def test_nothing_is_left_of_a_test_that_was_killed(tmp_path: Path) -> None:
    say = "for name in net.places: print(net[name].pid, flush=True)"
    script = f"from tests.wide.nat import two_nats\nwith two_nats() as net:\n    {say}\n    input()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(10)]
        process.send_signal(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}/ns/net").exists() for pid in pids), "no namespace is held any more")
