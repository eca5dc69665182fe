"""Crowds at the door: an honest peer joins while strangers knock and shout.

    python -m tests.attack.floods

A founder runs; peers join it, one after another, by a ticket with its address and by a code that mDNS leads to, first
in peace, then while two other programs send OFFERS signed offers by as many unknown keys, and RECORDS mDNS
datagrams on loopback: other swarms' records, records with this swarm's tag and invented keys, records that name the
founder's key at false places, and noise with large texts. Printed are the times of joins, from the command to the
admission, their ratio, and by how much the founder's memory grew. Everything runs on the machine's two cores, the
crowd included. It never fails on a slow figure.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from statistics import median
from typing import Final

from cli.bench.figures import Figure, Goal, Section
from gossip.directory import keys_path, store_path
from gossip.transport.description import Description
from gossip.transport.discovery import swarm_tag
from gossip.transport.offers import Offer, Session, seal
from gossip.transport.signalling import PATH
from ledger.keys import PrivateKey
from ledger.store import Store
from tests.e2e.machines import ROOT, Machine, Running, machine_park
from tests.transport.mdns import announcement, answer

OFFERS: Final = 10_000
RECORDS: Final = 100_000
LASTS_S: Final = 50.0  # the crowd spreads over this time, and the joins of that time are measured
JOINS: Final = 4  # of each kind in peace; and no more in the crowd: one address may try so many codes (open_codes.py)
KINDS: Final = ("--ticket", "--code")
GROUP: Final = ("224.0.0.251", 5353)
LARGE: Final = 1_300  # bytes of text in the noise


def measure(*, quick: bool = False) -> Section:
    share = 10 if quick else 1
    offers, records, lasts_s, joins = OFFERS // share, RECORDS // share, LASTS_S / min(share, 2), JOINS // min(share, 2)
    with (
        redirect_stdout(io.StringIO()),  # what the programs said is for tests that fail
        tempfile.TemporaryDirectory() as folder,
        machine_park(Path(folder)) as machine,
    ):
        home = machine("founder")
        home.gossip("new", "crowded", "--name", "founder")
        node = home.start("run", "--json")
        ready = node.event("ready")
        for word in ("first", "second"):  # what a first join loads into memory is not the crowd's
            join(machine(word), home, "--ticket")
        calm = {how: [join(machine(f"calm{how}{n}"), home, how) for n in range(joins)] for how in KINDS}
        before = resident_bytes(node)
        place = home.swarms / "crowded"
        key = PrivateKey.load(keys_path(place) / "current").public.hex()
        with Store.open_readonly(store_path(place)) as store:
            swarm = store.meta("swarm").decode()
        with (
            crowd("offers", ready["address"], swarm, offers, lasts_s) as knocking,
            crowd("records", key, swarm, records, lasts_s) as shouting,
        ):
            wild = dict[str, list[float]]({how: [] for how in KINDS})
            for number in range(len(KINDS) * JOINS):
                how = KINDS[number % len(KINDS)]
                taken = join(machine(f"wild{number}"), home, how)
                if knocking.poll() is not None or shouting.poll() is not None:
                    break  # this one had peace at its end
                wild[how].append(taken)
            said = [program.communicate(timeout=10 * lasts_s)[0].strip() for program in (knocking, shouting)]
        grown = resident_bytes(node) - before
        went_on = node.process.poll() is None
    figures = []
    for how, name in (("--ticket", "by a ticket"), ("--code", "by a code and mDNS")):
        quiet, loud = median(calm[how]), median(wild[how])
        figures.append(Figure(f"join {name}, in peace", quiet, "s", note=f"median of {joins}"))
        note = f"{loud / quiet:.2f} x, median of {len(wild[how])}"
        figures.append(Figure(f"join {name}, in the crowd", loud, "s", Goal(2 * quiet), note=note))
    note = "; ".join(said)
    figures.append(Figure("the founder grew by", grown / 1e6, "MB", Goal(32.0), note=note if went_on else "IT ENDED"))
    return Section(
        f"crowds: {offers} unknown keys and {records} false records in {lasts_s:.0f} s, on loopback", tuple(figures)
    )


def join(guest: Machine, home: Machine, how: str) -> float:
    """Seconds from the command to the word that it is a member; the inviting before is not counted."""
    words = ("invite", "--ticket") if how == "--ticket" else ("invite",)
    done = home.gossip(*words, "--json")
    assert done.code == 0, done.err
    invited = done.document
    begun = time.perf_counter()
    running = guest.start("join", invited["ticket" if how == "--ticket" else "code"], "--name", "guest", "--json")
    running.event("admitted", name="guest")
    taken = time.perf_counter() - begun
    running.process.kill()
    running.process.wait()
    return taken


def resident_bytes(node: Running) -> int:
    lines = Path(f"/proc/{node.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024


@contextmanager
def crowd(kind: str, at: str, swarm: str, count: int, lasts_s: float) -> Iterator[subprocess.Popen[str]]:
    words = [kind, at, swarm, str(count), str(lasts_s)]
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.attack.floods", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    try:
        program.stdout.readline()  # it begins now
        yield program
    finally:
        program.kill()
        program.wait()


# ---------------------------------------------------------------- the crowd


async def knock(address: str, swarm: str, count: int, lasts_s: float) -> None:
    """Offers by keys that nobody knows, each rightly signed, eight at a time. They are made before, so that the crowd
    takes little of the machine that it shares with those it bothers."""
    host, _, port = address.rpartition(":")
    session = Session.of(Description("abcd", "p" * 22, b"\x07" * 32, (("127.0.0.1", 9),)))
    offers = []
    for _ in range(count):
        key = PrivateKey.generate()
        body = seal(Offer(swarm=swarm, key=key.public.hex(), nonce=secrets.token_hex(32), session=session), key)
        head = f"POST {PATH} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(body)}\r\n\r\n"
        offers.append(head.encode() + body)
    print("begins", flush=True)
    refused, begun, made = 0, time.monotonic(), iter(enumerate(offers))

    async def one_by_one() -> None:
        nonlocal refused
        for number, offer in made:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(offer)
            said = await reader.read()
            refused += b" 404 " in said
            writer.close()
            await asyncio.sleep(max(0.0, begun + lasts_s * number / count - time.monotonic()))

    await asyncio.gather(*(one_by_one() for _ in range(8)))
    print(f"{refused} offers refused in {time.monotonic() - begun:.0f} s")


def shout(key: str, swarm: str, count: int, lasts_s: float) -> None:
    """Datagrams to mDNS's group on loopback, made before for the same reason."""
    luck = random.Random(1)
    datagrams = list(inventions(luck, key, swarm, count))
    print("begins", flush=True)
    begun = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        for number, datagram in enumerate(datagrams):
            sender.sendto(datagram, GROUP)
            if number % 50 == 0:
                time.sleep(max(0.0, begun + lasts_s * number / count - time.monotonic()))
    print(f"{count} records shouted in {time.monotonic() - begun:.0f} s")


def inventions(luck: random.Random, key: str, swarm: str, count: int) -> Iterator[bytes]:
    """Announcements: of another swarm; of a peer that is none; of `key` at a false place; of one with much to say."""
    mark, port = bytes(range(32)), 4_919
    ours, others = (answer(announcement(1, tag=tag, key=mark, port=port)) for tag in (swarm_tag(swarm), "0" * 16))
    written = mark.hex().encode()
    for number in range(count):
        named = key.encode() if number % 4 == 2 else luck.randbytes(32).hex().encode()
        made = (others if number % 4 == 0 else ours).replace(written, named)
        name = luck.randbytes(16).hex().encode() if number % 4 == 2 else named[:32]
        made = made.replace(written[:32], name).replace(
            port.to_bytes(2, "big"), luck.randrange(1, 65_536).to_bytes(2, "big")
        )
        yield made + (luck.randbytes(LARGE - len(made)) if number % 4 == 3 else b"")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.attack.floods")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    match given.words:
        case ["offers", address, swarm, count, lasts_s]:
            asyncio.run(knock(address, swarm, int(count), float(lasts_s)))
        case ["records", key, swarm, count, lasts_s]:
            shout(key, swarm, int(count), float(lasts_s))
        case _:
            print("\n".join(measure(quick=given.quick).lines()))


if __name__ == "__main__":
    main()
