"""Time stamps from outside, against an authority that openssl plays: what counts, what does not, and what it proves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.anchors import Missing, Proven, anchors_in
from ledger.bundle import BundleContents
from ledger.checkpoint import Checkpoint, origin
from ledger.entry import MAX_TOKEN_BYTES, Anchor
from ledger.errors import LocalError, RemoteError
from ledger.report import Finding
from ledger.timestamp import (
    MAX_RESPONSE_BYTES,
    load_roots,
    make_query,
    open_response,
    read_token,
    require_library,
    verify_token,
)
from tests.fold import toy
from tests.fold.bundles import contents_of
from tests.ledger.authority import Authority

BODY = b"gossip.invalid/a/b\n14\nTju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ts") / "honest")


def stamped(authority: Authority, body: bytes = BODY) -> bytes:
    return open_response(authority.answer(make_query(body)[0]))


# ------------------------------------------------------------------ one token


def test_a_granted_token_proves_that_the_body_existed_and_openssl_agrees(authority: Authority) -> None:
    query, nonce = make_query(BODY)
    answer = authority.answer(query)
    token = open_response(answer)
    stamp = verify_token(token, BODY, load_roots(authority.root.read_bytes()))
    assert stamp == read_token(token)
    assert (stamp.imprint, stamp.nonce) == (sha256(BODY).digest(), nonce)
    assert stamp.authority == "CN=signer of honest"
    assert authority.accepts(token, BODY)
    assert not authority.accepts(token, BODY + b"\n")
    text = authority.text(answer)
    shown = next(line for line in text.splitlines() if line.startswith("Time stamp: ")).removeprefix("Time stamp: ")
    said = datetime.strptime(shown, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    assert stamp.time == said.timestamp() + 2  # at the latest: its accuracy is 1.5 s


def test_a_query_names_the_hash_a_number_and_nothing_else(authority: Authority) -> None:
    query, nonce = make_query(BODY)
    assert len(query) < 100
    assert sha256(BODY).digest() in query
    assert make_query(BODY)[1] != nonce  # so that an answer tells which query it answers
    text = authority.text(authority.answer(query))
    assert "Hash Algorithm: sha256" in text
    assert f"{nonce:X}" in text
    assert len(open_response(authority.answer(query))) > 700  # its certificate came along


def test_certificates_between_the_root_and_the_signer_come_with_the_token(tmp_path: Path) -> None:
    longer = Authority(tmp_path / "longer", between="x" * 100)
    assert verify_token(stamped(longer), BODY, load_roots(longer.root.read_bytes())).authority == "CN=signer of longer"


def test_an_answer_that_is_not_in_der_is_told_and_not_kept(tmp_path: Path) -> None:
    """A set's members are sorted in DER, the shorter first; openssl, like some authorities, sends the signer first."""
    unsorted = Authority(tmp_path / "unsorted", between="x")
    with pytest.raises(RemoteError, match="InvalidSetOrdering"):
        stamped(unsorted)


def test_several_roots_may_be_trusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    roots = load_roots(other.root.read_bytes() + authority.root.read_bytes())
    for one in (authority, other):
        verify_token(stamped(one), BODY, roots)


def test_a_root_that_did_not_vouch_for_the_authority_proves_nothing(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(RemoteError, match="not vouched for by the given root"):
        verify_token(stamped(authority), BODY, load_roots(stranger.root.read_bytes()))


def test_a_signer_whose_certificate_was_not_valid_then_proves_nothing(tmp_path: Path) -> None:
    expired = Authority(tmp_path / "expired", days=-1)
    with pytest.raises(RemoteError, match="not vouched for by the given root"):
        verify_token(stamped(expired), BODY, load_roots(expired.root.read_bytes()))


def test_a_token_over_something_else_proves_nothing(authority: Authority) -> None:
    roots = load_roots(authority.root.read_bytes())
    for other in (BODY + b"\n", BODY.replace(b"14", b"15"), b""):
        with pytest.raises(RemoteError, match="over something else"):
            verify_token(stamped(authority), other, roots)


def test_no_altered_byte_says_anything_new(authority: Authority) -> None:
    """A few bytes are under nobody's signature (names of algorithms); what counts is never among them."""
    token, roots = stamped(authority), load_roots(authority.root.read_bytes())
    good = verify_token(token, BODY, roots)
    passed = 0
    for at in range(len(token)):
        for flip in (1, 0x80):
            altered = token[:at] + bytes([token[at] ^ flip]) + token[at + 1 :]
            try:
                assert verify_token(altered, BODY, roots) == good
                passed += 1
            except RemoteError:
                pass
    assert passed < len(token) / 50
    for end in range(0, len(token), 7):
        with pytest.raises(RemoteError):
            verify_token(token[:end], BODY, roots)


def test_a_refusal_is_no_time_stamp(tmp_path: Path) -> None:
    strict = Authority(tmp_path / "strict", digests="sha512")
    answer = strict.answer(make_query(BODY)[0])
    assert "Status: Rejected" in strict.text(answer)
    with pytest.raises(RemoteError, match="granted no time stamp: status 2"):
        open_response(answer)


def test_a_token_over_another_kind_of_hash_is_refused(authority: Authority) -> None:
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    query = TimestampRequestBuilder(BODY, HashAlgorithm.SHA512).build().as_bytes()
    token = open_response(authority.answer(query))
    with pytest.raises(RemoteError, match="not over a SHA-256"):
        read_token(token)
    with pytest.raises(RemoteError, match="not over a SHA-256"):
        verify_token(token, BODY, load_roots(authority.root.read_bytes()))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff", bytes(1000), b"<html>no</html>",
     bytes(MAX_RESPONSE_BYTES + 1)],
    ids=["empty", "a byte", "endless", "4 GB", "zeros", "a page", "too long"],
)  # fmt: skip
def test_garbage_is_told_in_one_line(authority: Authority, data: bytes) -> None:
    read: list[Callable[[bytes], object]] = [open_response, read_token]
    for reading in read:
        with pytest.raises(RemoteError) as told:
            reading(data)
        assert "\n" not in str(told.value)
        assert len(str(told.value)) < 250
    with pytest.raises(LocalError, match=r"no certificate|no file of root"):
        load_roots(data)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    token, pem = stamped(authority), authority.root.read_bytes()
    roots = load_roots(pem)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    for attempt in (
        require_library, lambda: make_query(BODY), lambda: open_response(token), lambda: read_token(token),
        lambda: verify_token(token, BODY, roots), lambda: load_roots(pem),
    ):  # fmt: skip
        with pytest.raises(LocalError, match=r"^this needs: pipx inject gossip-swarm rfc3161-client$"):
            attempt()


# ------------------------------------------------------------------ a bundle of them


@pytest.fixture
def swarm() -> toy.Swarm:
    return toy.Swarm(["ann", "bob"])


def checkpoint_of(swarm: toy.Swarm, name: str, size: int) -> bytes:
    peer = swarm[name]
    return Checkpoint(origin(swarm.swarm, peer.id), size, peer.replica.root(peer.id, size)).body()


def anchor(swarm: toy.Swarm, name: str, size: int, token: bytes, *, length: int | None = None) -> int:
    """Let a peer write a time stamp down; the index of its entry."""
    digest = sha256(token).hexdigest()
    swarm[name].blobs[digest] = token
    said = len(token) if length is None else length
    return swarm[name].write(Anchor(**toy.CHAIN, size=size, token=digest, bytes=said)).seq


def bundle_of(swarm: toy.Swarm, *, erased: bytes | None = None) -> BundleContents:
    swarm.exchange()
    blobs = {name: data for peer in swarm.peers.values() for name, data in peer.blobs.items() if data != erased}
    return replace(contents_of(swarm), blob=lambda name, most=0: blobs.get(name))


def test_a_bundles_time_stamps_say_how_much_of_which_log_existed_before_when(
    authority: Authority, swarm: toy.Swarm
) -> None:
    roots = load_roots(authority.root.read_bytes())
    assert list(anchors_in(bundle_of(swarm), roots)) == []
    sizes = {"ann": 1, "bob": swarm["bob"].replica.size(swarm["bob"].id)}
    seqs = {}
    for name, size in sizes.items():
        seqs[name] = anchor(swarm, name, size, stamped(authority, checkpoint_of(swarm, name, size)))
    found = [one for one in anchors_in(bundle_of(swarm), roots) if isinstance(one, Proven)]
    assert sorted((one.log, one.seq, one.size) for one in found) == sorted(
        (swarm[name].id, seqs[name], size) for name, size in sizes.items()
    )
    words = [one.word for one in found]
    assert all((word.by, word.time) == ("", one.time) for word, one in zip(words, found, strict=True))


def test_of_a_token_that_proves_nothing_there_log_index_rule_and_file_are_named(
    authority: Authority, swarm: toy.Swarm, tmp_path: Path
) -> None:
    """Admission takes whatever an author calls a time stamp: who trusts an authority finds out."""
    roots = load_roots(authority.root.read_bytes())
    stranger = Authority(tmp_path / "stranger")
    ann = swarm["ann"].id
    wrong = {
        "over something else": stamped(authority, checkpoint_of(swarm, "ann", 1)),  # of another size
        "over something else, too": stamped(authority, checkpoint_of(swarm, "bob", 2)),  # of another log
        "not vouched for": stamped(stranger, checkpoint_of(swarm, "ann", 2)),
        "no time stamp": b"I was here in 1999.",
    }
    seqs = {anchor(swarm, "ann", 2, token): (why, token) for why, token in wrong.items()}
    found = list(anchors_in(bundle_of(swarm), roots))
    assert len(found) == len(wrong)
    for one in found:
        assert isinstance(one, Finding)
        why, token = seqs[one.index]
        assert why.removesuffix(", too") in one.detail
        assert (one.log, one.rule, one.file) == (ann, "token", f"blobs/{sha256(token).hexdigest()}")


def test_an_erased_token_is_missing_and_neither_right_nor_wrong(authority: Authority, swarm: toy.Swarm) -> None:
    token = stamped(authority, checkpoint_of(swarm, "ann", 2))
    seq = anchor(swarm, "ann", 2, token)
    contents = bundle_of(swarm, erased=token)
    missing = Missing(swarm["ann"].id, seq, sha256(token).hexdigest())
    assert list(anchors_in(contents, load_roots(authority.root.read_bytes()))) == [missing]


def test_a_changed_entry_takes_what_was_proven_of_its_log_with_it(authority: Authority, swarm: toy.Swarm) -> None:
    roots = load_roots(authority.root.read_bytes())
    anchor(swarm, "ann", 2, stamped(authority, checkpoint_of(swarm, "ann", 2)))
    whole = bundle_of(swarm)
    logs = []
    for log in whole.logs:
        entries = list(log.entries())
        if log.peer == swarm["ann"].id:
            entries[1] = entries[1].replace(b'"time":1', b'"time":2')
        logs.append(replace(log, entries=lambda start=0, entries=entries: iter(entries)))
    (found,) = anchors_in(replace(whole, logs=tuple(logs)), roots)
    assert isinstance(found, Finding)
    assert "over something else" in found.detail


def test_an_entry_that_is_none_ends_the_reading_of_its_log_with_a_finding(
    authority: Authority, swarm: toy.Swarm
) -> None:
    whole = bundle_of(swarm)
    bad = [b'{"kind":"anchor"}', b'{"kind":"anchor"' * 1000]
    for junk in bad:
        logs = tuple(replace(log, entries=lambda start=0, junk=junk: iter([junk])) for log in whole.logs)
        found = list(anchors_in(replace(whole, logs=logs), load_roots(authority.root.read_bytes())))
        assert [(one.rule, one.index) for one in found if isinstance(one, Finding)] == [("format", 0)] * len(logs)


def test_what_two_branches_share_is_said_once(authority: Authority, swarm: toy.Swarm) -> None:
    seq = anchor(swarm, "ann", 2, stamped(authority, checkpoint_of(swarm, "ann", 2)))
    whole, ann = bundle_of(swarm), swarm["ann"].id
    (log,) = [log for log in whole.logs if log.peer == ann]
    branches = [replace(log, peer=f"{ann}~{fork}~{'ab' * 32}") for fork in (seq, seq + 1)]
    found = anchors_in(replace(whole, logs=(*whole.logs, *branches)), load_roots(authority.root.read_bytes()))
    assert [one.log for one in found] == [ann, branches[0].peer]


def test_an_anchor_out_of_its_place_is_a_finding(authority: Authority, swarm: toy.Swarm) -> None:
    anchor(swarm, "ann", 2, stamped(authority, checkpoint_of(swarm, "ann", 2)))
    whole = bundle_of(swarm)
    (log,) = [log for log in whole.logs if log.peer == swarm["ann"].id]
    whole_log = list(log.entries())
    for entries, index in ((whole_log[::-1], 0), (whole_log[1:], 1)):  # stamped by itself, too, in the second
        moved = replace(log, entries=lambda start=0, entries=entries: iter(entries))
        (found,) = anchors_in(replace(whole, logs=(moved,)), load_roots(authority.root.read_bytes()))
        assert isinstance(found, Finding)
        assert (found.index, found.rule) == (index, "token")
        assert "too many" in found.detail


def test_the_bound_on_a_token_is_above_what_authorities_send(authority: Authority) -> None:
    assert 8 * len(stamped(authority)) < MAX_TOKEN_BYTES
