"""A checkpoint over more than is at hand: the proof beside it must be of that checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.bundle import BundleError, BundleLog
from ledger.checkpoint import Checkpoint, sign
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.seals import head_proof, open_seal
from tests.fold.bundles import stream_of

KEY = PrivateKey.from_seed(b"k" * 32)
NAME = "gossip/toy/log"
ENTRIES = [bytes([number]) * 40 for number in range(9)]
HELD = 5


def signed(tree: Tree) -> bytes:
    return sign(Checkpoint(NAME, tree.size, tree.root()), KEY)


def test_a_proof_under_one_checkpoint_vouches_for_no_other() -> None:
    """Both are the author's. What is here is the beginning of one history, the checkpoint is of another."""
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    here, whole = Tree(leaves[:HELD]), Tree(leaves)
    other = Tree([*leaves[:3], *(leaf_hash(entry + b"!") for entry in ENTRIES[3:])])
    proof = head_proof(here, signed(whole), whole.consistency(HELD, whole.size))
    log = BundleLog("ab" * 32, HELD, signed(whole), stream_of(ENTRIES[:HELD]), head=proof)
    assert open_seal(log, NAME, lambda size: KEY.public, here).checkpoint.root == whole.root()
    for note in (signed(other), signed(Tree(leaves[:-1]))):
        with pytest.raises(BundleError, match="another checkpoint") as told:
            open_seal(replace(log, checkpoint=note), NAME, lambda size: KEY.public, here)
        assert told.value.file.endswith("head.tlog-proof")
