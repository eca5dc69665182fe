"""Codes that are open: three tries, bounded work, and silence for all else."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gossip.transport import open_codes
from gossip.transport.code import Asking, Code, Confirm
from gossip.transport.open_codes import (
    BURST,
    HOST_BURST,
    MAX_OPEN,
    MAX_SESSIONS,
    SESSION_S,
    TRIES,
    Ended,
    OpenCodes,
    Wrong,
)
from ledger import canonical
from ledger.errors import LocalError
from tests.transport.test_code import luck

TEXT = "gossip2-made-up"
HOST, OTHER = "192.168.1.7", "192.168.1.8"


@pytest.fixture
def codes() -> OpenCodes:
    return OpenCodes(luck("inviter"))


def opened(codes: OpenCodes, *, uses: int = 1, until: float = 600.0, now: float = 0.0) -> Code:
    return codes.open(TEXT, uses=uses, until=until, now=now)


def wrong(code: Code) -> Code:
    return Code(code.number, bytes(byte ^ 0xFF for byte in code.secret))


class Knocker:
    """A joiner, or somebody who guesses."""

    def __init__(self, codes: OpenCodes, code: Code, host: str = HOST, seed: str = "joiner") -> None:
        self._codes, self._host, self._asking = codes, host, Asking(code, luck(seed))

    def ask(self, now: float = 0.0) -> bool:
        self._answer = self._codes.ask(self._asking.ask(), self._host, now)
        return self._answer is not None

    def confirm(self, now: float = 0.0) -> str | None:
        assert self._answer is not None
        self._said = self._asking.confirm(self._answer)
        box = self._codes.confirm(self._said, self._host, now)
        return None if box is None else self._asking.open(box)

    def again(self, now: float = 0.0) -> bytes | None:
        return self._codes.confirm(self._said, self._host, now)


def test_a_code_for_one_hands_out_its_ticket_once(codes: OpenCodes) -> None:
    code = opened(codes)
    joiner = Knocker(codes, code)
    assert joiner.ask()
    assert joiner.confirm() == TEXT
    assert joiner.again() is None
    assert not Knocker(codes, code, seed="later").ask()
    assert codes.news == [Ended(code, "used", 1)]


def test_a_code_for_three_hands_it_out_three_times(codes: OpenCodes) -> None:
    code = opened(codes, uses=3)
    for number in range(3):
        joiner = Knocker(codes, code, seed=str(number))
        assert joiner.ask()
        assert joiner.confirm() == TEXT
    assert not Knocker(codes, code).ask()
    assert codes.news == [Ended(code, "used", 3)]


def test_the_third_wrong_try_burns_it_for_everybody_also_for_who_had_begun(codes: OpenCodes) -> None:
    code = opened(codes, uses=5)
    honest = Knocker(codes, code, OTHER, seed="honest")
    assert honest.ask()
    for left in (2, 1, 0):
        guesser = Knocker(codes, wrong(code), seed=f"guess {left}")
        assert guesser.ask()
        assert guesser.confirm() is None
        assert codes.news[2 - left] == Wrong(code.number, HOST, left)
    assert codes.news[3:] == [Ended(code, "burnt", 0)]
    assert honest.confirm() is None
    assert not Knocker(codes, code).ask()


def test_whoever_tries_many_at_once_has_three_tries_all_the_same(codes: OpenCodes) -> None:
    """All ask before the first proves anything: what is counted is proofs, not turns."""
    code = opened(codes)
    guesses = [Code(code.number, bytes([at, at])) for at in range(6) if bytes([at, at]) != code.secret]
    crowd = [Knocker(codes, guess, f"10.0.0.{at}", seed=str(at)) for at, guess in enumerate(guesses)]
    right = Knocker(codes, code, OTHER, seed="right")
    assert all(one.ask() for one in (*crowd, right))
    assert [one.confirm() for one in crowd] == [None] * len(crowd)
    assert right.confirm() is None
    assert [item for item in codes.news if isinstance(item, Wrong)] == codes.news[:TRIES]


def test_an_exchange_is_good_for_one_proof_wrong_or_right(codes: OpenCodes) -> None:
    code = opened(codes)
    guesser = Knocker(codes, wrong(code))
    assert guesser.ask()
    assert guesser.confirm() is None
    assert guesser.again() is None
    assert codes.confirm(canonical.encode(Confirm("00" * 32, "11" * 16)), HOST, 0.0) is None
    assert codes.news == [Wrong(code.number, HOST, 2)]  # made-up exchanges and repeated proofs are no tries


def test_a_guesser_who_gives_up_before_the_proof_has_learned_nothing_and_costs_no_try(codes: OpenCodes) -> None:
    """What it was answered differs with luck alone: the same luck and other words look as good to it."""
    code = opened(codes)
    assert Knocker(codes, wrong(code)).ask()
    assert codes.news == []
    honest = Knocker(codes, code, OTHER)
    assert honest.ask()
    assert honest.confirm() == TEXT


def test_a_code_ends_with_its_time_and_so_do_exchanges(codes: OpenCodes) -> None:
    code = opened(codes, until=600.0)
    slow = Knocker(codes, code)
    assert slow.ask(0.0)
    assert slow.confirm(SESSION_S) is None
    late = Knocker(codes, code, seed="late")
    assert late.ask(599.9)
    assert late.confirm(600.0) is None
    assert codes.news == [Ended(code, "expired", 0)]
    assert codes.next_end is None


def test_who_floods_from_one_address_pushes_nobody_out(codes: OpenCodes) -> None:
    """Beyond its ration it is not answered, and of the exchanges that wait its own are the ones that go."""
    code = opened(codes, uses=2)
    honest = Knocker(codes, code, OTHER, seed="honest")
    assert honest.ask()
    question = Asking(code, luck("flood")).ask()
    flood = [codes.ask(question, HOST, 0.0) is not None for _ in range(50)]
    assert flood == [True] * HOST_BURST + [False] * (50 - HOST_BURST)
    assert Knocker(codes, code, OTHER, seed="second").ask()
    assert honest.confirm() == TEXT
    assert sum(codes.ask(question, HOST, 60.0) is not None for _ in range(50)) == HOST_BURST


def test_of_exchanges_that_wait_those_of_the_busiest_address_go_first(codes: OpenCodes) -> None:
    """The honest one is the oldest of all, and nine others come: what it has begun it can finish."""
    code = opened(codes)
    honest = Knocker(codes, code, OTHER, seed="honest")
    assert honest.ask(0.0)
    question = Asking(code, luck("flood")).ask()
    begun = [codes.ask(question, HOST, at) for at in (0, 0, 0, 0, 0, 0, 5, 10, 15)]
    assert None not in begun
    (waiting,) = codes
    assert len(waiting.sessions) == MAX_SESSIONS
    assert honest.confirm(16.0) == TEXT


def test_work_for_strangers_is_bounded_however_many_addresses_they_have(
    codes: OpenCodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange costs some milliseconds; counted is how many are begun, in ten seconds after a burst."""
    begun = 0
    real = open_codes.Answering

    def counted(*args: object) -> object:
        nonlocal begun
        begun += 1
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(open_codes, "Answering", counted)
    code = opened(codes)
    question = Asking(code, luck("flood")).ask()
    for at in range(1_000):
        codes.ask(question, f"10.0.{at % 250}.{at // 250}", at / 100)
        assert sum(len(waiting.sessions) for waiting in codes) <= MAX_SESSIONS
    assert begun <= BURST + math.ceil(10 * open_codes.PER_S)
    assert len(codes._hosts) <= open_codes.MAX_HOSTS


def test_a_number_that_is_not_open_costs_nothing_and_is_answered_with_nothing(
    codes: OpenCodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = opened(codes)

    def never(*args: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(open_codes, "Answering", never)
    assert not Knocker(codes, Code(code.number % 999 + 1, code.secret)).ask()
    for data in (b"", b"{}", b"x" * 5_000, canonical.encode({"element": "00" * 32, "number": code.number}) + b"\n"):
        assert codes.ask(data, HOST, 0.0) is None
        assert codes.confirm(data, HOST, 0.0) is None


def test_an_element_that_is_none_is_answered_with_nothing_and_is_no_try(codes: OpenCodes) -> None:
    code = opened(codes)
    for element in ("00" * 32, "01" + "00" * 31, "ff" * 32):
        assert codes.ask(canonical.encode({"element": element, "number": code.number}), HOST, 0.0) is None
    assert codes.news == []


def test_numbers_are_drawn_from_all_and_none_twice_at_a_time() -> None:
    seen = set()
    for seed in range(40):
        codes = OpenCodes(luck(str(seed)))
        numbers = [opened(codes).number for _ in range(MAX_OPEN)]
        assert len(set(numbers)) == MAX_OPEN
        seen |= set(numbers)
    assert len(seen) > 200
    assert all(1 <= number <= 999 for number in seen)
    with pytest.raises(LocalError, match="8 codes are open"):
        opened(codes)
    opened(codes, now=600.0, until=1200.0)  # by then the others have had their time


def test_secrets_are_drawn_from_all_65536() -> None:
    """No two words are more likely: both bytes take all values, as far as 2,000 draws can show."""
    codes = OpenCodes()
    drawn = [opened(codes, now=float(at), until=at + 1.0).secret for at in range(2_000)]  # each has had its time
    assert all(len({secret[at] for secret in drawn}) > 240 for at in (0, 1))
    assert len(set(drawn)) > 1_900


def unlimited(codes: OpenCodes) -> Callable[[Code, str], str | None]:
    def attempt(guess: Code, host: str) -> str | None:
        knocker = Knocker(codes, guess, host, seed=host)
        return knocker.confirm() if knocker.ask() else None

    return attempt


def test_a_code_that_does_not_burn_is_guessed(codes: OpenCodes) -> None:
    """The positive control: with tries without end the attempt that three tries stop gets through."""
    code = opened(codes)
    guesses = [Code(code.number, bytes([code.secret[0] ^ at, code.secret[1]])) for at in (1, 2, 3, 4, 0)]
    assert [unlimited(codes)(guess, f"10.0.0.{at}") for at, guess in enumerate(guesses)] == [None] * 5
    careless = OpenCodes(luck("inviter"))
    assert opened(careless) == code
    for waiting in careless:
        waiting.tries = 1_000
    assert [unlimited(careless)(guess, f"10.0.0.{at}") for at, guess in enumerate(guesses)][-1] == TEXT
