"""A witness under any requests: one root for one size, never backwards, one history; and who witnesses whom."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.checkpoint import Checkpoint, origin
from ledger.merkle import Tree, leaf_hash
from ledger.witness import WITNESSES, Fork, Refusal, Witnessed, may_cosign, witnesses_of

MEMBERS = [sha256(b"member %d" % number).hexdigest() for number in range(40)]
ORIGIN = origin("ab" * 32, MEMBERS[0])
LONGEST = 12


def log(fork: int | None = None) -> Tree:
    """A log of twelve entries, or its twin from `fork` on."""
    name = b"%d" if fork is None else b"%d of another branch"
    return Tree(leaf_hash((b"%d" if fork is None or index < fork else name) % index) for index in range(LONGEST))


BRANCHES = [log(), log(0), log(3), log(11)]


def held(tree: Tree, size: int) -> bytes | None:
    """The root at `size`, as a witness knows it that holds `tree`."""
    return tree.root(size) if size <= tree.size else None


class AnyWitness(RuleBasedStateMachine):
    """Requests for any size and root of forked histories reach a witness that holds any of them, any far, and that
    forgets everything but its store at any time, before or after a signature left."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: Witnessed | None = None  # survives
        self.signed: list[Witnessed] = []  # what the world has seen

    @rule(
        held=st.integers(0, len(BRANCHES) - 1),
        known=st.integers(0, 5).map(lambda less: LONGEST - less * less // 2),
        branch=st.integers(0, len(BRANCHES) - 1),
        size=st.integers(0, LONGEST),
        crash=st.sampled_from(["no", "no", "before the store", "before the signature"]),
    )
    def ask(self, held: int, known: int, branch: int, size: int, crash: str) -> None:
        """Since the last request the log here may have grown, or come back shorter, or as another branch of it."""
        checkpoint = Checkpoint(ORIGIN, size, BRANCHES[branch].root(size))
        tree = BRANCHES[held]
        answer = may_cosign(self.stored, checkpoint, lambda at: tree.root(at) if at <= known else None)
        if isinstance(answer, Witnessed) and crash != "before the store":
            self.stored = answer
            if crash != "before the signature":
                assert (checkpoint.size, checkpoint.root) == (answer.size, answer.root)
                self.signed.append(answer)
        if isinstance(answer, Fork):
            assert answer.ours != answer.theirs

    @invariant()
    def never_two_roots_nor_backwards_nor_two_histories(self) -> None:
        roots: dict[int, bytes] = {}
        for before, after in zip(self.signed, self.signed[1:], strict=False):
            assert before.size <= after.size
        for item in self.signed:
            assert roots.setdefault(item.size, item.root) == item.root
        assert not self.signed or any(
            all(tree.root(item.size) == item.root for item in self.signed) for tree in BRANCHES
        ), "no single log contains all that was signed"


AnyWitness.TestCase.settings = settings(max_examples=200, stateful_step_count=20)
TestAnyWitness = AnyWitness.TestCase


def test_a_growing_log_is_cosigned_at_every_size() -> None:
    tree, memory = BRANCHES[0], None
    for size in range(1, LONGEST + 1):
        answer = may_cosign(memory, Checkpoint(ORIGIN, size, tree.root(size)), lambda at: held(tree, at))
        assert answer == Witnessed(size, tree.root(size))
        memory = answer
    assert may_cosign(memory, Checkpoint(ORIGIN, LONGEST, tree.root()), lambda at: held(tree, at)) == memory  # again


@pytest.mark.parametrize("size", [4, 5, 9])
def test_another_history_is_a_fork_at_equal_larger_and_smaller_sizes(size: int) -> None:
    ours, theirs = BRANCHES[0], BRANCHES[2]
    answer = may_cosign(
        Witnessed(5, ours.root(5)), Checkpoint(ORIGIN, size, theirs.root(size)), lambda at: held(ours, at)
    )
    assert answer == Fork(size, ours.root(size), theirs.root(size))


def test_two_roots_of_the_size_that_was_cosigned_are_a_fork_before_any_entry_arrives() -> None:
    ours, theirs = BRANCHES[0], BRANCHES[2]
    answer = may_cosign(Witnessed(5, ours.root(5)), Checkpoint(ORIGIN, 5, theirs.root(5)), lambda _: None)
    assert answer == Fork(5, ours.root(5), theirs.root(5))


def test_a_witness_remembers_a_branch_that_it_no_longer_holds() -> None:
    ours, theirs = BRANCHES[0], BRANCHES[2]
    memory = Witnessed(5, ours.root(5))
    answer = may_cosign(memory, Checkpoint(ORIGIN, 9, theirs.root(9)), lambda at: held(theirs, at))
    assert answer == Fork(5, ours.root(5), theirs.root(5))


def test_what_is_empty_unknown_or_old_is_refused_and_nobody_blamed() -> None:
    tree = BRANCHES[0]
    memory = Witnessed(5, tree.root(5))
    for size, known in ((0, 12), (4, 12), (6, 5)):
        checkpoint = Checkpoint(ORIGIN, size, tree.root(size))
        answer = may_cosign(memory, checkpoint, lambda at, known=known: tree.root(at) if at <= known else None)
        assert isinstance(answer, Refusal), size


def test_everybody_names_the_same_three_and_nobody_its_own() -> None:
    for peer in MEMBERS:
        chosen = witnesses_of(peer, MEMBERS)
        assert chosen == witnesses_of(peer, set(MEMBERS)) == witnesses_of(peer, MEMBERS[::-1] * 2)
        assert len(set(chosen)) == WITNESSES
        assert peer not in chosen
    assert witnesses_of(MEMBERS[0], MEMBERS[:1]) == ()
    assert witnesses_of(MEMBERS[0], MEMBERS[:3]) in (tuple(MEMBERS[1:3]), tuple(MEMBERS[2:0:-1]))


def test_the_choice_is_a_hash_that_anybody_can_repeat() -> None:
    peer = MEMBERS[0]
    label = b"gossip-witness/1\n" + bytes.fromhex(peer)
    order = sorted(
        MEMBERS[1:],
        key=lambda other: sha256(label + bytes.fromhex(other)).digest(),
    )
    assert witnesses_of(peer, MEMBERS) == tuple(order[:3])


@settings(max_examples=60)
@given(st.sets(st.sampled_from(MEMBERS), min_size=1), st.sampled_from(MEMBERS), st.integers(0, 5))
def test_who_leaves_moves_only_what_it_witnessed(members: set[str], leaver: str, count: int) -> None:
    for peer in MEMBERS:
        before, after = witnesses_of(peer, members, count), witnesses_of(peer, members - {leaver}, count)
        if leaver not in before:
            assert after == before
        else:
            assert after[: len(before) - 1] == tuple(one for one in before if one != leaver)


def test_the_work_is_shared() -> None:
    """Of 40 logs with 3 witnesses each nobody has far more than 3 (binomial; deterministic, as the ids are)."""
    duties = [witness for peer in MEMBERS for witness in witnesses_of(peer, MEMBERS)]
    assert len(duties) == 120
    assert max(map(duties.count, MEMBERS)) <= 9
