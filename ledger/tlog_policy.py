"""Whose cosignatures are enough: a list of logs, witnesses, groups of them, and a quorum. C2SP tlog-policy.

    log gossip.invalid/mr5k...7q/pbu2...ka+1f2e3d4c+AbX9...
    witness 41c6...09 gossip.invalid/mr5k...7q/ihdk...4a+a1b2c3d4+BGk3...
    witness 77ab...31 gossip.invalid/mr5k...7q/o6vt...2q+e5f60718+BMs1...
    group majority 2 41c6...09 77ab...31
    quorum majority

(c2sp.org/tlog-policy.) A checkpoint is good if one of the logs signed it (any log, where none is listed: the reader
knows which one it asked about) and the quorum has cosigned it. Final snapshots are judged by the policy that
`final_policy` writes: more than half of the witnesses that the genesis names.

Rules kept here: names are defined once and before they are used, and each is a member of one group at most, so that
nobody counts twice; one quorum; one log or witness per key; comments, blank lines and runs of spaces or tabs are
read, as the format wants, and never written. It refuses to know where notes are from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import origin, parse_checkpoint
from ledger.cosignature import verify_cosignature
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.note import COSIGNATURE, ED25519, VerifierKey, decimal, parse_verifier_key, verify_text

MAX_POLICY_BYTES: Final = 256 * 1024
MAX_LINES: Final = 1024  # logs, witnesses and groups; the format wants room for 32 of each
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed what at least `least` of its members, witnesses or groups, have."""

    name: str
    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlogPolicy:
    """Addresses ("" where not given) are kept and mean nothing here."""

    logs: tuple[tuple[VerifierKey, str], ...]
    witnesses: tuple[tuple[str, VerifierKey, str], ...]  # name within this policy, key, address
    groups: tuple[Group, ...]
    quorum: str  # a name, or "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a note fared: whether it satisfies the policy, and whose signatures on it are good."""

    satisfied: bool
    log: str  # name of the log that signed; "" if none of the listed did
    witnesses: tuple[str, ...]  # policy names, in the policy's order, whose cosignatures verify
    times: tuple[int, ...]  # when each of them says it signed, in seconds since 1970
    broken: tuple[str, ...]  # policy names whose cosignatures are there and wrong


def final_policy(
    swarm: Hash, witnesses: Iterable[tuple[PeerId, Sequence[bytes]]], logs: Iterable[tuple[PeerId, bytes]] = ()
) -> TlogPolicy | None:
    """More than half of a swarm's witnesses: each with its peer id and every key that counts for it.

    None where a swarm has no witnesses: nothing is ever final there, and a quorum of none would make everything so.
    A witness whose key changed is a group of its keys, any of which will do. One that never enrolled has no log, so
    no name: call it by its key in hex, under which nobody can ever cosign, for it counts in what half means.
    """
    named: list[tuple[str, VerifierKey, str]] = []
    groups: list[Group] = []
    seats: list[str] = []
    for peer, keys in sorted(witnesses):
        names = [peer] if len(keys) == 1 else [f"{peer}/{number}" for number in range(len(keys))]
        name = origin(swarm, peer)
        named += [(one, VerifierKey(name, key, COSIGNATURE), "") for one, key in zip(names, keys, strict=True)]
        if len(keys) > 1:
            groups.append(Group(peer, 1, tuple(names)))
        seats.append(peer)
    if not seats:
        return None
    groups.append(Group("majority", len(seats) // 2 + 1, tuple(seats)))
    known = tuple((VerifierKey(origin(swarm, peer), key), "") for peer, key in sorted(logs))
    return TlogPolicy(known, tuple(named), tuple(groups), "majority")


def satisfied(policy: TlogPolicy, note: bytes) -> Outcome:
    """Whether a checkpoint's note has the signatures that the policy wants. RemoteError if it is no checkpoint.

    With no logs in the policy, the caller has opened the note with the author's key.
    """
    signed, checkpoint = parse_checkpoint(note)
    lines = {(signature.name, signature.key_id): signature for signature in signed.signatures}
    log = ""
    for key, _ in policy.logs:
        signature = lines.get((key.name, key.key_id))
        if key.name == checkpoint.origin and signature and verify_text(signed.text, signature, key.name, key.public):
            log = key.name
    good: list[str] = []
    times: list[int] = []
    broken: list[str] = []
    for name, key, _ in policy.witnesses:
        signature = lines.get((key.name, key.key_id))
        if signature is None:
            continue
        try:
            times.append(verify_cosignature(checkpoint, signature, key.name, key.public))
            good.append(name)
        except RemoteError:
            broken.append(name)
    have = {NONE, *good}
    for group in policy.groups:  # members come before their groups
        if sum(member in have for member in group.members) >= group.least:
            have.add(group.name)
    enough = policy.quorum in have and (bool(log) or not policy.logs)
    return Outcome(enough, log, tuple(good), tuple(times), tuple(broken))


def print_policy(policy: TlogPolicy) -> bytes:
    """The text of a policy: one spelling. LocalError if it could not be read back."""
    lines = [_line("log", str(key), address) for key, address in policy.logs]
    lines += [_line("witness", name, str(key), address) for name, key, address in policy.witnesses]
    lines += [_line("group", group.name, str(group.least), *group.members) for group in policy.groups]
    lines.append(_line("quorum", policy.quorum))
    text = "".join(lines).encode("utf-8", "surrogateescape")
    try:
        same = parse_policy(text) == policy
    except RemoteError as error:
        raise LocalError("this policy makes no sense", why=str(error)) from None
    if not same:
        raise LocalError("this policy makes no sense", why="its names or addresses have spaces")
    return text


def parse_policy(data: bytes) -> TlogPolicy:
    """A policy from its text; RemoteError names the line that makes no sense."""
    if len(data) > MAX_POLICY_BYTES:
        raise RemoteError("a witness policy is too long", why=f"{len(data)} bytes, the limit is {MAX_POLICY_BYTES}")
    if not data.endswith(b"\n"):
        raise RemoteError("a witness policy is malformed", why="its last line does not end")
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in data):
        raise RemoteError("a witness policy is malformed", why="it has a control character")
    # Bytes beyond ASCII are opaque to the format: names are equal if their bytes are.
    reader = _Reader()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape")[:-1].split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        items = [word for word in words if word]
        if items and not items[0].startswith("#"):
            try:
                reader.read(items)
            except RemoteError as error:
                raise RemoteError(f"line {number} of a witness policy is malformed", why=str(error)) from None
    if not reader.quorum:
        raise RemoteError("a witness policy is malformed", why="it has no quorum")
    return TlogPolicy(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)


class _Reader:
    """The lines read so far."""

    def __init__(self) -> None:
        self.logs: list[tuple[VerifierKey, str]] = []
        self.witnesses: list[tuple[str, VerifierKey, str]] = []
        self.groups: list[Group] = []
        self.quorum = ""
        self._lines = 0
        self._names: set[str] = set()
        self._members: set[str] = set()
        self._keys: set[tuple[str, bytes]] = set()

    def read(self, items: list[str]) -> None:
        self._lines += 1
        if self._lines > MAX_LINES:
            raise RemoteError("too many lines", why=f"the limit is {MAX_LINES}")
        match items:
            case ["log", key, *address] if len(address) < 2:
                self.logs.append((self._key("log", key, ED25519), "".join(address)))
            case ["witness", name, key, *address] if len(address) < 2:
                self._define(name)
                self.witnesses.append((name, self._key("witness", key, COSIGNATURE), "".join(address)))
            case ["group", name, least, *members] if members:
                self._group(name, least, members)
            case ["quorum", name]:
                if self.quorum:
                    raise RemoteError("there is a second quorum")
                if name != NONE and name not in self._names:
                    raise RemoteError("the quorum is not defined above it", why=repr(name))
                self.quorum = name
            case _:
                raise RemoteError("this is no line of a policy", why=repr(" ".join(items)[:60]))

    def _group(self, name: str, least: str, members: list[str]) -> None:
        for member in members:
            if member not in self._names:
                raise RemoteError("a member is not defined above its group", why=repr(member))
            if member in self._members:
                raise RemoteError("a name is a member twice", why=repr(member))
            self._members.add(member)
        words = {"any": 1, "all": len(members)}
        count = words[least] if least in words else decimal(least, len(members))
        if count < 1:
            raise RemoteError("a group of which none is needed needs nobody")
        self._define(name)
        self.groups.append(Group(name, count, tuple(members)))

    def _define(self, name: str) -> None:
        if name == NONE or name in self._names:
            raise RemoteError("a name is defined twice", why=repr(name))
        self._names.add(name)

    def _key(self, role: str, text: str, algorithm: int) -> VerifierKey:
        key = parse_verifier_key(text)
        if key.algorithm != algorithm:
            raise RemoteError(f"the key of a {role} is of the wrong kind", why=f"algorithm {key.algorithm}")
        if (role, key.public) in self._keys:
            raise RemoteError(f"a {role} is listed twice", why=key.name)
        self._keys.add((role, key.public))
        return key


def _line(*items: str) -> str:
    return " ".join(item for item in items if item) + "\n"
