"""One log as it arrives: what a branch takes over from the log that it leaves."""

from __future__ import annotations

from gossip.peer.tape import Tape
from gossip.wire.frames import Entries
from ledger import checkpoint
from ledger.canonical import encode_entry, entry_hash
from ledger.chain import strand_id
from ledger.checkpoint import open_note, origin
from ledger.keys import PrivateKey, key_digest
from ledger.merkle import Tree, leaf_hash
from tests.peer.test_bad_member import data
from tests.peer.test_new_key import Owner


def frame(owner: Owner, entries: list[bytes], start: int, key: PrivateKey) -> Entries:
    tree = Tree(leaf_hash(entry) for entry in entries)
    note = checkpoint.sign(checkpoint.Checkpoint(origin(owner.swarm, owner.log), tree.size, tree.root()), key)
    return Entries(owner.log, start, note, (), tuple(entries[start:]))


def test_a_branch_that_left_before_a_change_of_keys_is_served_under_its_own_checkpoint() -> None:
    """The other branch changed keys further on; what stands before that there was signed for there."""
    owner = Owner("5a" * 32, 61)
    name, old, new = origin(owner.swarm, owner.log), owner.keys[0], owner.keys[1]
    owner.add(data(**owner.chain()))
    shared = list(owner.entries)
    for _ in range(2):
        owner.add(data(**owner.chain()))
    trunk = Tape(owner.log)
    trunk.take(frame(owner, owner.entries, 0, old), name, old.public, 1)
    owner.entries.append(owner.rotation(new.public, owner.keys[2].public))
    trunk.take(frame(owner, owner.entries, 4, new), name, new.public, 1, changes_key=True)
    for _ in range(5):
        trunk.admit()
    assert [change for change, _ in trunk.closed] == [4]

    twin = Owner("5a" * 32, 61)
    twin.entries = shared
    for records in (b"200", b"201", b"202"):
        twin.entries.append(encode_entry(data(**twin.chain())).replace(b'"records":100', b'"records":' + records))
    branch = trunk.branch(strand_id(owner.log, 2, entry_hash(twin.entries[2])))
    shown = frame(twin, twin.entries, 2, old)
    assert branch.take(shown, name, old.public, 2) == 3
    branch.sure = 5
    for _ in range(3):
        branch.admit()
    served = branch.serve(2, 5, lambda seq: twin.entries[seq])
    assert served is not None
    assert served.entries == tuple(twin.entries[2:])
    assert served.note == shown.note
    assert open_note(served.note, old.public).root == Tree(leaf_hash(entry) for entry in twin.entries).root()
    other = trunk.serve(2, 5, lambda seq: owner.entries[seq])
    assert other is not None
    assert other.entries == tuple(owner.entries[2:4])  # the older key's, and no more
    assert key_digest(new.public) == trunk.promises[0].next
