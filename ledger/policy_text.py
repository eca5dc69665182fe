"""Reading a policy: a text of lines becomes rules and pins, or one error that names the line and what to do.

    policy = 1

    [data.licences]
    all_in = ["MPL-2.0", "CC-BY-SA-3.0"]
    on_fail = "weight"
    permille = 500                  # counts half where a source has another licence

    [labels.ad]
    easylist = "8c2f...64 hex digits of the file's SHA-256..."

Why it exists: the text is a subset of TOML, read here line by line. TOML readers differ between versions of the
language, and peers that read one policy differently would fold different models.

Rules kept here: a closed vocabulary, whole numbers up to 2^53 - 1, nothing twice, no rule that can never hold and none
that can never be checked (a comparison with pinned lists needs one). Whatever is accepted is TOML with the same
meaning. It refuses to know what a rule is compared with (policy.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from ledger.errors import LocalError
from ledger.policy_facts import FACTS, MAX_OPENED, Strength

POLICY_VERSION: Final = 1
MAX_LIMIT: Final = (1 << 53) - 1  # exact in every JSON reader, and in a double
MAX_WORDS: Final = 64  # on one list: licences that a swarm allows

Word = Literal["min", "max", "all_in", "present", "unique"]
OnFail = Literal["reject", "quarantine", "weight"]

_WORDS: Final[dict[str, Word]] = {
    "min": "min", "max": "max", "all_in": "all_in", "present": "present", "unique": "unique",
}  # fmt: skip
_ON_FAIL: Final[dict[str, OnFail]] = {"reject": "reject", "quarantine": "quarantine", "weight": "weight"}
_ZONES: Final = ("data.public", "data.private")
_LABELS: Final = ("ad", "tracker")  # what neither list blocks is benign


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy. Its limit: 0 for `all_in` (words off the list) and `unique` (repeats), 1 for `present`."""

    fact: str  # a key of FACTS
    word: Word
    limit: int
    words: tuple[str, ...]  # of all_in
    on_fail: OnFail
    permille: int  # of its weight that an update keeps if it breaks this rule; 1000 unless on_fail is weight
    strength: Strength

    @property
    def name(self) -> str:
        """As entries and people spell it: "data.records.min"."""
        return f"{self.fact}.{self.word}"

    def broken_by(self, value: int) -> bool:
        return value < self.limit if self.word in ("min", "present") else value > self.limit


@dataclass(frozen=True, slots=True)
class Pins:
    """Files that the policy names by hash: without them some of its rules cannot be checked."""

    canary: str  # SHA-256; "" if there is none
    lists: tuple[tuple[str, str, str], ...]  # (name, the label that it gives, SHA-256)


# (Possessive where spaces may follow spaces: a line of nothing else must not take its length squared.)
# One line is: nothing | [section] | word = number, "text" or ["text", "text"], and may end in a remark. All of it is
# also TOML.
_TEXT = r'"[ !#-\[\]-~]*+"'
_LINE = re.compile(
    r"[ \t]*+(?:\[(?P<section>[a-z0-9_.]{1,64})\]|(?P<word>[A-Za-z0-9_-]{1,64})[ \t]*+=[ \t]*+"
    rf"(?:(?P<number>0|[1-9][0-9]*+)|(?P<text>{_TEXT})"
    rf"|(?P<words>\[[ \t]*+(?:{_TEXT}[ \t]*+(?:,[ \t]*+{_TEXT}[ \t]*+)*+)?+\])))?"
    r"[ \t]*+(?:#.*)?"
)
_ITEM = re.compile(_TEXT)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch


def read_policy(text: str) -> tuple[tuple[Rule, ...], Pins]:
    """The rules in the order of the text, and the pins. LocalError names the first wrong line."""
    reader = _Reader()
    for row, line in enumerate(text.split("\n"), start=1):
        match = None if _CONTROL.search(line) else _LINE.fullmatch(line)
        if match is None:
            if row == 1 and line.startswith("\ufeff"):
                raise _bad(row, "begins with a byte order mark", "save the text as UTF-8 without a byte order mark")
            if line.endswith("\r"):
                raise _bad(
                    row,
                    "ends as lines do in Windows (CRLF)",
                    "save it with line ends of Unix (LF), as tr -d '\\r' does",
                )
            raise _bad(
                row,
                "cannot be read",
                'write a section in square brackets, or min = 1, or all_in = ["a", "b"], or a remark after #; '
                'numbers are whole, texts plain letters between " and "',
            )
        reader.row = row
        if match["section"] is not None:
            reader.open(match["section"])
        elif match["word"] is not None:
            reader.line(match["word"], match["number"], match["text"], match["words"])
    return reader.end()


class _Reader:
    """One pass over the lines; a section's rules are made when it closes, for `on_fail` may stand anywhere in it."""

    def __init__(self) -> None:
        self.row = 0
        self._versioned = False
        self._section = ""
        self._began: dict[str, int] = {}  # the line of every section
        self._lines: dict[str, tuple[int, int | str | tuple[str, ...]]] = {}  # of the open section: word, (row, value)
        self._rules: list[Rule] = []
        self._canary = ""
        self._lists: list[tuple[str, str, str]] = []

    def open(self, section: str) -> None:
        self._close()
        if not self._versioned:
            raise _bad(self.row, "comes before the version", f"begin with: policy = {POLICY_VERSION}")
        if section not in FACTS and section != "canary" and section not in (f"labels.{label}" for label in _LABELS):
            raise _bad(self.row, f"{section} is no known fact", f"use one of: {_like(section)}")
        if section in self._began:
            raise _bad(self.row, f"{section} appears twice", "merge the two sections")
        self._began[section] = self.row
        self._section = section

    def line(self, word: str, number: str | None, text: str | None, words: str | None) -> None:
        value: int | str | tuple[str, ...]
        if number is not None:
            if len(number) > len(str(MAX_LIMIT)) or int(number) > MAX_LIMIT:
                raise _bad(self.row, "the number is too large", f"the limit is {MAX_LIMIT}")
            value = int(number)
        elif text is not None:
            value = text[1:-1]
        else:
            value = tuple(item[1:-1] for item in _ITEM.findall(words or ""))
        if not self._section:
            if self._versioned or word != "policy" or value != POLICY_VERSION:
                raise _bad(self.row, "only the version may stand here", f"write: policy = {POLICY_VERSION}")
            self._versioned = True
            return
        if word in self._lines:
            raise _bad(self.row, f"{word} appears twice in {self._section}", "keep one")
        if self._section == "canary" or self._section.startswith("labels."):
            self._pin(word, value)
        elif word in _WORDS:
            self._check(word, value)
        elif word == "on_fail":
            if value not in _ON_FAIL:
                raise _bad(self.row, "on_fail is none of its words", 'use "reject", "quarantine" or "weight"')
        elif word == "permille":
            if not isinstance(value, int) or not 1 <= value <= 999:
                raise _bad(self.row, "permille is out of range", 'use 1 to 999, or on_fail = "reject"')
        else:
            raise _bad(
                self.row, f"{word!r} is no known word", "use " + " or ".join((*FACTS[self._section].words, "on_fail"))
            )
        self._lines[word] = (self.row, value)

    def _pin(self, word: str, value: int | str | tuple[str, ...]) -> None:
        if self._section == "canary" and word != "sha256":
            raise _bad(self.row, f"{word!r} is no known word", 'write: sha256 = "..." with 64 hex digits')
        if not isinstance(value, str) or not _is_hash(value):
            raise _bad(self.row, f"{word} is no SHA-256", "write its 64 digits (0-9, a-f) between quotation marks")
        if self._section == "canary":
            self._canary = value
            return
        for name, label, pinned in self._lists:
            if pinned == value:
                raise _bad(self.row, f"is the file of {name} in labels.{label} again", "name each file once")
        self._lists.append((word, self._section.removeprefix("labels."), value))

    def _check(self, word: str, value: int | str | tuple[str, ...]) -> None:
        allowed = FACTS[self._section].words
        if word not in allowed:
            raise _bad(self.row, f"{word} does not go with {self._section}", "use " + " or ".join(allowed))
        if word == "all_in":
            if not isinstance(value, tuple) or not 1 <= len(value) <= MAX_WORDS:
                raise _bad(self.row, "all_in needs a list", f'write: all_in = ["a", "b"], 1 to {MAX_WORDS} texts')
            if len(set(value)) != len(value):
                raise _bad(self.row, "names a text twice", "keep one")
        elif not isinstance(value, int):
            raise _bad(self.row, f"{word} needs a number", f"write: {word} = 1, whole and without quotation marks")
        elif word in ("present", "unique"):
            if value != 1:
                raise _bad(self.row, f"{word} is not 1", f"write {word} = 1, or take the section out")
        elif self._section == "opened.records" and not 1 <= value <= MAX_OPENED:
            raise _bad(self.row, "so many records cannot be asked for", f"use 1 to {MAX_OPENED}")

    def _close(self) -> None:
        """Make the rules of the section that ends above this line."""
        section, lines = self._section, self._lines
        self._lines = {}
        if not section:
            return
        if section not in FACTS:
            if not lines:
                raise _bad(self.row, f"{section} above this line names no file", "name one, or take the section out")
            return
        fact = FACTS[section]
        bounds = [word for word in lines if word in _WORDS]
        if not bounds:
            raise _bad(
                self.row,
                f"{section} above this line has no rule",
                f"add {' or '.join(fact.words)}, or take the section out",
            )
        least, most = lines.get("min"), lines.get("max")
        if least and most and isinstance(least[1], int) and isinstance(most[1], int) and least[1] > most[1]:
            raise _bad(max(least[0], most[0]), f"{section} can never hold", "min must not be above max")
        if least and fact.largest is not None and isinstance(least[1], int) and least[1] > fact.largest:
            raise _bad(least[0], f"{section} can never hold", f"it is at most {fact.largest:,}: ask for no more")
        on_fail = _ON_FAIL[str(lines["on_fail"][1])] if "on_fail" in lines else "reject"
        if section == "opened.records" and "on_fail" in lines:
            raise _bad(lines["on_fail"][0], "opened.records is a request, it cannot fail", "take on_fail out")
        if on_fail == "weight" and fact.strength not in ("S", "R"):
            raise _bad(
                lines["on_fail"][0],
                f"{section} is a receiver's opinion, and a published weight never changes",
                'use "quarantine" or "reject"',
            )
        if (on_fail == "weight") is not ("permille" in lines):
            row = lines["permille"][0] if "permille" in lines else lines["on_fail"][0]
            raise _bad(row, "permille and weight go together", 'write both: on_fail = "weight" and permille = 500')
        kept = lines["permille"][1] if "permille" in lines else 1000
        for word in bounds:
            value = lines[word][1]
            self._rules.append(
                Rule(
                    fact=section,
                    word=_WORDS[word],
                    limit=value if isinstance(value, int) and word != "unique" else 0,
                    words=value if isinstance(value, tuple) else (),
                    on_fail=on_fail,
                    permille=kept if isinstance(kept, int) else 1000,
                    strength=fact.strength,
                )
            )

    def end(self) -> tuple[tuple[Rule, ...], Pins]:
        self._close()
        self._section = ""
        if not self._versioned:
            raise _bad(1, "the policy names no version", f"begin with: policy = {POLICY_VERSION}")
        zones = [rule.fact for rule in self._rules if rule.fact in _ZONES and rule.word == "min" and rule.limit]
        if len(zones) > 1:
            raise _bad(
                max(self._began[fact] for fact in zones),
                "no data set is both public and private",
                f"keep one of {' and '.join(zones)}",
            )
        if "opened.wrong_labels_permille" in self._began and not self._lists:
            raise _bad(
                self._began["opened.wrong_labels_permille"],
                "nobody can check labels without a list",
                "pin one in a section labels.ad or labels.tracker",
            )
        if "canary.harm_permille" in self._began and not self._canary:
            raise _bad(
                self._began["canary.harm_permille"],
                "nobody can measure on a canary set that is not named",
                'pin it: a section canary with sha256 = "..."',
            )
        return tuple(self._rules), Pins(self._canary, tuple(self._lists))


def _like(section: str) -> str:
    """Facts of the same group, or all groups."""
    known = (*FACTS, "canary", *(f"labels.{label}" for label in _LABELS))
    group = section.partition(".")[0]
    same = [name for name in known if name.partition(".")[0] == group]
    return ", ".join(same or sorted({f"{name.partition('.')[0]}..." for name in known}))


def _bad(row: int, why: str, next_step: str) -> LocalError:
    return LocalError(f"line {row} of the policy", why=why, next_step=next_step)
