"""What a person says of other networks (`--bootstrap`, `--relay`, `--ice`), read before anything is made of it.

    --relay /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW.../p2p-circuit   -->  the relay, in the one spelling
    --ice turn:anna@192.0.2.1:3478 --turn-password FILE         -->  turn:anna:...@192.0.2.1:3478
    libp2p missing                                                  -->  a line, and no invitation is spent

`""` takes back what was said before: [] here; None is what nobody said. A password is taken from a file, since anybody
on the machine can read a command's arguments; it goes into the peer's own store and is shown nowhere. What
was remembered, or came with an invitation, is left out where libp2p is missing, and the network goes on without. It
loads no libp2p itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.render import many
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.invites import Beyond
    from gossip.transport.multiaddresses import Multiaddress

MAX_NODES: Final = 8  # bootstraps, and relays: a connection each is held
MAX_PASSWORD_BYTES: Final = 256
_PASSWORDLESS: Final = re.compile(r"turn:([^:@]+)@(.+)")


def bootstraps(words: Sequence[str] | None) -> list[str] | None:
    """Multiaddresses of nodes to find others through. LocalError says what is wrong with one."""
    from gossip.transport.multiaddresses import bootstrap

    return _nodes(words, bootstrap, "--bootstrap")


def relays(words: Sequence[str] | None) -> list[str] | None:
    """Multiaddresses of relays, without /p2p-circuit."""
    from gossip.transport.multiaddresses import relay

    return _nodes(words, relay, "--relay")


def _nodes(words: Sequence[str] | None, read: Callable[[str], Multiaddress], option: str) -> list[str] | None:
    if words is None:
        return None
    found = list(dict.fromkeys(read(word.strip()).node for word in words if word.strip()))
    if len(found) > MAX_NODES:
        raise LocalError(f"{option} names {len(found)} nodes", next_step=f"name at most {MAX_NODES}")
    return found


def ice(words: Sequence[str] | None, password_file: Path | None) -> list[str] | None:
    """STUN and TURN servers, with the password that is in the file. LocalError, which never shows one."""
    if words is None:
        if password_file is not None:
            raise LocalError("--turn-password without a TURN server", next_step="name it: --ice turn:USER@HOST:PORT")
        return None
    from gossip.transport.ice import ice_servers

    found = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    if any(_PASSWORDLESS.fullmatch(text) for text in found):
        if password_file is None:
            raise LocalError(
                "a TURN server without a password", next_step="name a file that holds it: --turn-password FILE"
            )
        password = _password(password_file)
        found = [_PASSWORDLESS.sub(lambda match: f"turn:{match[1]}:{password}@{match[2]}", text) for text in found]
    elif password_file is not None:
        raise LocalError(
            "--turn-password is of no use here", why="no TURN server that was named lacks a password",
            next_step="leave it out, or name the server as turn:USER@HOST:PORT",
        )  # fmt: skip
    ice_servers(found)
    return found


def _password(file: Path) -> str:
    """The first line of a file that nobody else can read, as it stands in a server's text."""
    from urllib.parse import quote

    from ledger.private_files import read_private

    data = read_private(file, MAX_PASSWORD_BYTES, what="password file").split(b"\n")[0].removesuffix(b"\r")
    try:
        password = data.decode()
    except UnicodeDecodeError:
        password = ""
    if not password:
        raise LocalError(f"{file} holds no password", why="its first line is empty, or not UTF-8 text")
    return quote(password, safe="")


# ------------------------------------------------------------------ libp2p is an extra


def left_out(place: Path) -> str:
    """What of the last run's words is left out on this machine, in a line; "" if nothing is."""
    from cli.remembered import last_run

    told = last_run(place)
    named = [many(len(nodes), word) for nodes, word in ((told.bootstrap, "bootstrap"), (told.relay, "relay")) if nodes]
    if not named:
        return ""
    from gossip.wide.present import missing

    if not (why := missing()):
        return ""
    from gossip.wide.config import INSTALL

    return f"Left out: {' and '.join(named)}, for {why}; this network goes on without. To use them: {INSTALL}"


# ------------------------------------------------------------------ invitations


def beyond(place: Path) -> Beyond:
    """How the peer there is found from other networks, as far as its store tells: for an invitation while no node
    runs."""
    from cli.remembered import last_run
    from gossip.directory import store_path
    from gossip.invites import Beyond
    from gossip.node.namespaces import Secrets
    from ledger.store import Store

    told = last_run(place)
    if not told.bootstrap and not told.relay:
        return Beyond()
    with Store.open_readonly(store_path(place)) as store:
        secret = Secrets.kept(store.find_meta("wide")).newest  # gossip/node/wide.py keeps it there
    return Beyond(tuple(told.bootstrap), tuple(told.relay), secret)


def told_of(facts: Mapping[str, Any], status: Mapping[str, Any] | None, *, is_code: bool) -> list[str]:
    """Whether an invitation works from other networks, for the one who passes it on; `status`: of libp2p in the node
    that runs, None if none does."""
    from gossip.wide.config import INSTALL

    if is_code:
        return ["For a machine, for days, or for another network, where a code is not heard: --ticket"]
    nodes, ways = facts["bootstrap"], facts["relays"]
    if not nodes and not ways:
        return ["For other networks run this peer with --relay first: from there its address alone is seldom reached."]
    if not ways and not _leads_to_members(str(facts["ticket"])):
        return [
            "From other networks it finds nobody: this peer knows of no rendezvous yet. Run it with --bootstrap first, "
            "and make another."
        ]
    found = f"found through {_these(nodes, 'bootstrap')}" if nodes else ""
    how = f"reached through {_these(ways, 'relay')}" + (f" and {found}" if found else "") if ways else found
    alone = "" if ways else "; without --relay its own network must let others in"
    at_fault = not_there(status or {})
    doubt = f" Not now, though: {'; '.join(at_fault)}." if at_fault else ""
    return [f"It works from other networks: this peer is {how}{alone}.{doubt} The other machine needs: {INSTALL}"]


def not_there(status: Mapping[str, Any]) -> list[str]:
    """Which relays and bootstraps cannot be used now, and why, as the status field `wide` has it; each node once, since
    what is wrong with a relay that is a bootstrap, too, is mostly one thing."""
    from cli.plain import plain

    wrong: dict[tuple[str, str], list[str]] = {}
    for word, field, is_well in (("relay", "relays", "reserved"), ("bootstrap", "bootstrap", "connected")):
        for one in status.get(field) or ():
            if not one.get(is_well) and one.get("text"):
                wrong.setdefault((host_of(one.get("address")), plain(one["text"], 140)), []).append(word)
    return [f"{' and '.join(dict.fromkeys(words))} {host}: {text}" for (host, text), words in wrong.items()]


def _leads_to_members(text: str) -> bool:
    """Whether a ticket says under which secret members are to be found."""
    from gossip.transport.tickets import Ticket

    try:
        return bool(Ticket.parse(text).rendezvous)
    except LocalError:
        return False


def _these(nodes: Sequence[str], word: str) -> str:
    named = ", ".join(host_of(node) for node in nodes[:2])
    more = f" and {len(nodes) - 2} more" if len(nodes) > 2 else ""
    return f"{word if len(nodes) == 1 else word + 's'} {named}{more}"


def host_of(text: object) -> str:
    """`203.0.113.7:4001` of a multiaddress, for people; harmless whatever it is."""
    from cli.plain import plain
    from gossip.transport.multiaddresses import Multiaddress

    try:
        found = Multiaddress.parse(str(text))
    except LocalError:
        return plain(text, 60)
    host = f"[{found.host}]" if ":" in found.host else found.host
    return f"{host}:{found.port}"
