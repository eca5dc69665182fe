"""What a policy can speak about: each fact with who can know it, and its words.

Why it exists: the vocabulary is closed. A fact that is not in this table cannot be ruled on, and a reader of a
policy finds here what its words count. `strength` is who can check a fact, and so what a rule on it may do:

    S  a claim on record: what the author's own entries say            } every peer and auditor decides alike:
    R  recomputed by anybody who holds the bytes in the update's past  } reject, weight or quarantine
    O  seen in records that the author had to open                     } one receiver's opinion: it condemns
    X  seen beside what other peers published                          } (reject) or displays (quarantine);
    L  measured by a receiver on rows of its own                       } a quorum takes the update out

Rules kept here: facts are whole numbers or lists of words; permille are rounded down. It refuses to know limits,
and how O, X and L are measured (gossip/peer/inspection).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ledger.entry import Data, Update

Strength = Literal["S", "R", "O", "X", "L"]
Unit = Literal["count", "permille", "yes", "milli", "grid", "words"]

BOUNDS: Final = ("min", "max")
DEFAULT_OPENED: Final = 59  # of which one is bad with 95% if one record in twenty is: .95^59 = .049
MAX_OPENED: Final = 256  # fits an opening of 1 MiB, and the window of a request


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: the words that may bound it, and how a sentence on it goes on after "at least 500 ..."."""

    strength: Strength
    unit: Unit
    about: str
    words: tuple[str, ...] = BOUNDS
    most: int | None = None  # that it can be, where its unit does not say

    @property
    def largest(self) -> int | None:
        """The largest value that it can have: a rule that asks for more can never hold. None: any number."""
        return self.most if self.most is not None else {"permille": 1000, "yes": 1}.get(self.unit)


FACTS: Final[dict[str, Fact]] = {
    "data.records": Fact("S", "count", "rows in the data set"),
    "data.duplicates_permille": Fact("S", "permille", "of its rows are exact copies of another"),
    "data.conflicts_permille": Fact("S", "permille", "of its rows contradict another row on the label"),
    "data.labels": Fact("S", "count", "different labels in the data set"),
    "data.commonest_label_permille": Fact("S", "permille", "of its rows carry the commonest label"),
    "data.labelled_permille": Fact("S", "permille", "of its rows carry a label"),
    "data.sources": Fact("S", "count", "files named as sources"),
    "data.unlicensed_sources": Fact("S", "count", "source files without a licence"),
    "data.licences": Fact("S", "words", "the licence of every source", ("all_in",)),
    "data.source_versions": Fact("S", "yes", "every source says which version of it was used", ("present",)),
    "data.source_hashes": Fact("S", "count", "source files named twice", ("unique",)),
    "data.features": Fact("S", "words", "the way rows become numbers", ("all_in",)),
    "data.suffixes": Fact("S", "words", "the version of the public-suffix list", ("all_in",)),
    "data.public": Fact("S", "yes", "the data set is public: every member may ask for records, and compare"),
    "data.private": Fact("S", "yes", "the data set is private: its records are never opened"),
    "data.privacy": Fact("S", "yes", "a privacy budget (differential privacy) is claimed", ("present",)),
    "data.epsilon_milli": Fact("S", "milli", "of privacy budget (epsilon) claimed"),
    "update.bytes": Fact("R", "count", "bytes in the compressed change"),
    "update.norm": Fact("R", "grid", "as the length of the change"),
    "update.steps": Fact("S", "count", "optimiser steps"),
    "update.examples": Fact("S", "count", "rows looked at, counted with repetition"),
    "update.examples_per_record": Fact("S", "count", "times every row was looked at"),
    "update.scored": Fact("S", "count", "held-out rows on which the author measured itself"),
    "update.epsilon_milli": Fact("S", "milli", "of privacy budget (epsilon) spent so far"),
    "opened.records": Fact("O", "count", "records picked at random to be shown", ("min",)),
    "opened.malformed": Fact("O", "count", "shown records that cannot be read"),
    "opened.wrong_labels_permille": Fact("O", "permille", "of the shown records are labelled unlike the pinned lists"),
    "opened.duplicates_permille": Fact("O", "permille", "more copies among the shown records than was announced"),
    "opened.unanswered": Fact("O", "count", "unanswered requests to show records", most=1),
    "crossed.copied": Fact("X", "count", "changes copied byte for byte from another peer", most=1),
    "crossed.cosine_permille": Fact("X", "permille", "likeness (cosine) to a change of another peer"),
    "crossed.overlap_permille": Fact("X", "permille", "of the records are in another peer's public data set, too"),
    "holdout.harm_permille": Fact(
        "L", "permille", "more wrong answers when the model goes further its way, on rows of the receiver"
    ),
    "holdout.loss_milli": Fact(
        "L", "milli", "more loss further its way than back, on rows of the receiver with the labels that its author has"
    ),
    "canary.harm_permille": Fact(
        "L", "permille", "more wrong answers when the model goes further its way, on the pinned canary rows"
    ),
}

Value = int | tuple[str, ...]


def _permille(part: int, whole: int) -> int:
    """Rounded down; of nothing, nothing."""
    return 1000 * part // whole if whole else 0


def _repeats(words: list[str]) -> int:
    return len(words) - len(set(words))


OF_DATA: Final[Mapping[str, Callable[[Data], Value]]] = {
    "data.records": lambda data: data.records,
    "data.duplicates_permille": lambda data: _permille(data.duplicates, data.records),
    "data.conflicts_permille": lambda data: _permille(data.conflicts, data.records),
    "data.labels": lambda data: sum(1 for count in data.labels.values() if count),
    "data.commonest_label_permille": lambda data: _permille(max(data.labels.values(), default=0), data.records),
    "data.labelled_permille": lambda data: _permille(sum(data.labels.values()), data.records),
    "data.sources": lambda data: len(data.sources),
    "data.unlicensed_sources": lambda data: sum(1 for source in data.sources if not source.licence),
    "data.licences": lambda data: tuple(source.licence for source in data.sources),
    "data.source_versions": lambda data: int(all(source.version for source in data.sources)),
    "data.source_hashes": lambda data: _repeats([source.sha256 for source in data.sources if source.sha256]),
    "data.features": lambda data: (data.features,),
    "data.suffixes": lambda data: (data.suffixes,),
    # What goes to some only (or to a name that nobody has) has no sketch, and is not public, whatever its zone says.
    "data.public": lambda data: int(data.zone == "public" and not data.opens and bool(data.sketch)),
    "data.private": lambda data: int(data.zone == "private"),
    "data.privacy": lambda data: int(data.privacy.epsilon > 0),
    "data.epsilon_milli": lambda data: data.privacy.epsilon,
}

OF_UPDATE: Final[Mapping[str, Callable[[Update, Data], Value]]] = {
    "update.bytes": lambda update, data: update.bytes,
    "update.norm": lambda update, data: update.norm,
    "update.steps": lambda update, data: update.steps,
    "update.examples": lambda update, data: update.examples,
    "update.examples_per_record": lambda update, data: update.examples // max(1, data.records),
    "update.scored": lambda update, data: update.scores.examples,
    "update.epsilon_milli": lambda update, data: update.epsilon,
}
