"""A checkpoint on its way to be cosigned, as one peer knows it: the author's signature and the witnesses'.

    log, size, root | author's signature | witness -> cosignature ...      <- Vouch frames, a C2SP note in the store

Rules kept here: nothing gets in that was not verified against the key that the replica names; of two cosignatures by
one witness the first stays. It refuses to know who should sign, and when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gossip.events import LinkId
from gossip.wire.frames import Vouch, Voucher
from ledger.checkpoint import Checkpoint, origin, parse_checkpoint
from ledger.cosignature import add_cosignatures, cosignature, cosignatures, raw, verify_cosignature
from ledger.entry import PeerId
from ledger.errors import RemoteError
from ledger.keys import verify
from ledger.note import ED25519, Signature, SignedNote, key_id, print_note
from ledger.replica import Replica


@dataclass(slots=True)
class Proposal:
    """One checkpoint whose author asks for cosignatures. `known` says how many signatures each link is known to hold,
    `told` how many of ours it was told of."""

    log: PeerId
    size: int
    root: bytes
    signature: bytes
    is_vote: bool  # it ends in a snapshot: a cosignature is a vote for that
    back: LinkId | None = None  # where it came from: the way home for cosignatures
    vouchers: dict[PeerId, Voucher] = field(default_factory=dict)
    signers: dict[PeerId, bytes] = field(default_factory=dict)  # the key that each of them signed with
    known: dict[LinkId, int] = field(default_factory=dict)
    told: dict[LinkId, int] = field(default_factory=dict)
    announce_at: float | None = None

    @property
    def signatures(self) -> int:
        return 1 + len(self.vouchers)

    def frame(self) -> Vouch:
        vouchers = tuple(self.vouchers[witness] for witness in sorted(self.vouchers))
        return Vouch(self.log, self.size, self.root, self.signature, vouchers)

    def checkpoint(self, replica: Replica) -> Checkpoint:
        return Checkpoint(origin(replica.swarm, self.log), self.size, self.root)

    def add(self, replica: Replica, voucher: Voucher) -> bool:
        """Take in a cosignature. False if it is wrong, or by a key that we do not know to be that witness's."""
        name, public = origin(replica.swarm, voucher.witness), replica.key_of(voucher.witness)
        try:
            line = cosignature(name, public, voucher.time, voucher.signature)
            verify_cosignature(self.checkpoint(replica), line, name, public)
        except RemoteError:
            return False
        self.vouchers.setdefault(voucher.witness, voucher)
        self.signers.setdefault(voucher.witness, public)
        return True

    def note(self, replica: Replica) -> bytes:
        """The checkpoint with every signature, for any C2SP tool."""
        checkpoint, public = self.checkpoint(replica), replica.key_at(self.log, self.size)
        author = Signature(checkpoint.origin, key_id(checkpoint.origin, ED25519, public), self.signature)
        lines = (
            cosignature(origin(replica.swarm, witness), self.signers[witness], voucher.time, voucher.signature)
            for witness, voucher in sorted(self.vouchers.items())
        )
        return add_cosignatures(print_note(SignedNote(checkpoint.body(), (author,))), lines)

    def forget(self, link: LinkId) -> None:
        self.known.pop(link, None)
        self.told.pop(link, None)
        if self.back == link:
            self.back = None


def is_authors(replica: Replica, frame: Vouch, public: bytes) -> bool:
    """Whether the log's author signed what a frame says."""
    checkpoint = Checkpoint(origin(replica.swarm, frame.log), frame.size, frame.root)
    return verify(public, frame.signature, checkpoint.body())


def read_note(replica: Replica, log: PeerId, note: bytes, witnesses: Iterable[PeerId]) -> Vouch | None:
    """What a stored note says, as the frame that would bring it; None if it is not of that log."""
    names: Mapping[str, PeerId] = {origin(replica.swarm, witness): witness for witness in witnesses}
    try:
        signed, checkpoint = parse_checkpoint(note)
        found = {names[line.name]: raw(line) for line in cosignatures(note) if line.name in names}
    except RemoteError:
        return None
    if checkpoint.origin != origin(replica.swarm, log):
        return None
    vouchers = tuple(Voucher(witness, *found[witness]) for witness in sorted(found))
    return Vouch(log, checkpoint.size, checkpoint.root, signed.signatures[0].value, vouchers)
