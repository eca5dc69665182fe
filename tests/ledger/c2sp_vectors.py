"""Every way to be wrong in the C2SP formats, one vector each, and the right forms beside them.

python -m tests.ledger.c2sp_vectors      writes tests/vectors/c2sp.json anew

Bodies are put together by hand and signed with the library's Ed25519 alone, whatever they say: a reader that takes a
malformed one has only itself to blame, for the signature is good.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "c2sp.json"
DASH = "\N{EM DASH}"
TIME = 1_767_225_600


def private(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def public(number: int) -> bytes:
    return private(number).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def name(number: int) -> str:
    parts = (bytes([0xAB]) * 32, bytes([number]) * 32)
    return "/".join(("gossip.invalid", *(base64.b32encode(part).decode().rstrip("=").lower() for part in parts)))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key_id(text: str, algorithm: int, key: bytes) -> bytes:
    return sha256(text.encode() + b"\n" + bytes([algorithm]) + key).digest()[:4]


def vkey(number: int, algorithm: int, label: str = "") -> str:
    label = label or name(number)
    return f"{label}+{key_id(label, algorithm, public(number)).hex()}+{b64(bytes([algorithm]) + public(number))}"


def author_line(body: str, label: str = "", number: int = 1) -> str:
    """An honest signature over any body at all, with key 1."""
    label = label or name(number)
    return f"{DASH} {label} {b64(key_id(label, 1, public(number)) + private(number).sign(body.encode()))}\n"


def cosigner_line(body: str, number: int, time: int = TIME, message: str = "", algorithm: int = 4) -> str:
    message = message or f"cosignature/v1\ntime {time}\n{body}"
    value = time.to_bytes(8, "big") + private(number).sign(message.encode())
    return f"{DASH} {name(number)} {b64(key_id(name(number), algorithm, public(number)) + value)}\n"


LEAVES = [sha256(b"\x00" + b"entry %d" % index).digest() for index in range(14)]


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(tree(leaves[:split]), tree(leaves[split:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(index, leaves[:split]), tree(leaves[split:])]
    return [*path(index - split, leaves[split:]), tree(leaves[:split])]


ORIGIN = name(1)
ROOT = b64(tree(LEAVES))
BODY = f"{ORIGIN}\n14\n{ROOT}\n"
AUTHOR = author_line(BODY)
NOTE = f"{BODY}\n{AUTHOR}"
COSIGNED = NOTE + "".join(cosigner_line(BODY, number) for number in (2, 3, 4))
HASHES = "".join(f"{b64(value)}\n" for value in path(11, LEAVES))
PROOF = f"c2sp.org/tlog-proof@v1\nindex 11\n{HASHES}\n{NOTE}"
WITNESSES = "".join(f"witness w{number} {vkey(number, 4)}\n" for number in (2, 3, 4))
POLICY = f"log {vkey(1, 1)}\n{WITNESSES}group majority 2 w2 w3 w4\nquorum majority\n"


def signed(body: str, label: str = "") -> str:
    return f"{body}\n{author_line(body, label or body.partition(chr(10))[0] or ORIGIN)}"


NUMBERS = {
    "a plus sign": "+14",
    "a leading zero": "014",
    "a double zero": "00",
    "an underscore": "1_4",
    "a minus sign": "-1",
    "nothing": "",
    "a space before": " 14",
    "a space after": "14 ",
    "a tab after": "14\t",
    "hexadecimal": "0x14",
    "an exponent": "1e1",
    "a fraction": "14.0",
    "other scripts' digits": "١٤",
    "a digit that is no decimal": "1²",
    "more than 2^53 - 1": str(1 << 53),
    "400 digits": "1" * 400,
}


def stray(text: str) -> str:
    """The same bytes, with a bit set that base64 throws away: text has one sign of padding."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:-2] + alphabet[alphabet.index(text[-2]) | 1] + "="


def base64s(text: str) -> dict[str, str]:
    """Other spellings of 32 bytes (or any that leave one sign of padding)."""
    return {
        "no padding": text.removesuffix("="),
        "too much padding": text + "=",
        "padding in front": "=" + text.removesuffix("="),
        "stray bits": stray(text),
        "a space inside": text[:5] + " " + text[5:],
        "a tab inside": text[:5] + "\t" + text[5:],
        "a sign outside the alphabet": text[:5] + "!" + text[5:],
        "the URL alphabet": "_" + text[1:],
        "a letter that is not ASCII": "é" + text[1:],
        "a byte less": b64(base64.b64decode(text)[:-1]),
        "a byte more": b64(base64.b64decode(text) + b"\0"),
        "hexadecimal": base64.b64decode(text).hex(),
    }


def checkpoints() -> Iterator[tuple[str, str]]:
    """Notes whose author signed just what they say."""
    for what, size in NUMBERS.items():
        yield f"size: {what}", signed(f"{ORIGIN}\n{size}\n{ROOT}\n")
    for what, root in base64s(ROOT).items():
        yield f"root: {what}", signed(f"{ORIGIN}\n14\n{root}\n")
    yield "root: empty", signed(f"{ORIGIN}\n14\n\n")
    for what, label in {
        "a space": ORIGIN + " ",
        "a space before": " " + ORIGIN,
        "a plus sign": ORIGIN + "+1",
        "a letter that is not ASCII": ORIGIN + "é",
        "a space that is not ASCII": ORIGIN + "\u2003",
        "the delete character": ORIGIN + "\x7f",
        "256 characters": "a" * 256,
        "a byte order mark": "\ufeff" + ORIGIN,
    }.items():
        yield f"origin: {what}", signed(f"{label}\n14\n{ROOT}\n")
    for what, body in {
        "no origin": f"14\n{ROOT}\n",
        "an empty origin": f"\n14\n{ROOT}\n",
        "no root": f"{ORIGIN}\n14\n",
        "an extension line": f"{BODY}extension\n",
        "an empty line at its end": f"{BODY}\n",
        "an empty line at its beginning": f"\n{BODY}",
        "an empty line inside": f"{ORIGIN}\n\n14\n{ROOT}\n",
        "size and root swapped": f"{ORIGIN}\n{ROOT}\n14\n",
        "Windows line ends": BODY.replace("\n", "\r\n"),
        "old Mac line ends inside": f"{ORIGIN}\r14\r{ROOT}\n",
        "one Windows line end": BODY.replace("\n14\n", "\n14\r\n"),
        "a tab": BODY.replace("14", "\t14"),
        "a zero byte": BODY.replace("14", "14\0"),
        "a line separator of Unicode": BODY.replace("\n14", "\u202814"),
    }.items():
        yield f"body: {what}", signed(body, ORIGIN)


def notes() -> Iterator[tuple[str, str]]:
    """Good bodies and good signatures, put together wrongly."""
    sealed = AUTHOR.split(" ")[2].rstrip("\n")
    padded = AUTHOR.replace(sealed, "{}")
    for what, text in base64s(sealed).items():
        if "hexadecimal" not in what and "byte" not in what:  # these are other signatures, not other spellings
            yield f"signature: {what}", f"{BODY}\n{padded.format(text)}"
    yield "signature: empty", f"{BODY}\n{padded.format('')}"
    yield "signature: a key id and nothing else", f"{BODY}\n{padded.format(b64(base64.b64decode(sealed)[:4]))}"
    for what, line in {
        "a hyphen": AUTHOR.replace(DASH, "-"),
        "an en dash": AUTHOR.replace(DASH, "–"),
        "no space after the dash": AUTHOR.replace(f"{DASH} ", DASH),
        "two spaces": AUTHOR.replace(f"{DASH} ", f"{DASH}  "),
        "a tab": AUTHOR.replace(f"{DASH} ", f"{DASH}\t"),
        "a space at the end": AUTHOR.replace("\n", " \n"),
        "a space before": " " + AUTHOR,
        "a third word": AUTHOR.replace("\n", " x\n"),
        "a Windows line end": AUTHOR.replace("\n", "\r\n"),
        "no line end": AUTHOR.rstrip("\n"),
        "a line end more": AUTHOR + "\n",
        "a name with a plus sign": author_line(BODY, "a+b"),
        "a name that is not ASCII": author_line(BODY, "é"),
        "no name": f"{DASH} {sealed}\n",
        "another name than the origin's": author_line(BODY, "somebody.else"),
        "the author's twice": AUTHOR * 2,
        "a witness's twice": AUTHOR + cosigner_line(BODY, 2) + cosigner_line(BODY, 2, TIME + 1),
        "a witness before the author": cosigner_line(BODY, 2) + AUTHOR,
        "an empty line between two": f"{AUTHOR}\n{cosigner_line(BODY, 2)}",
        "a text below": f"{AUTHOR}hello\n",
        "66 of them": AUTHOR + "".join(cosigner_line(BODY, number) for number in range(2, 67)),
        "none": "",
    }.items():
        yield f"signatures: {what}", f"{BODY}\n{line}"
    yield "note: no empty line", BODY + AUTHOR
    yield "note: two empty lines", f"{BODY}\n\n{AUTHOR}"
    yield "note: nothing", ""
    yield "note: only line ends", "\n" * 5
    yield "note: no text", f"\n{AUTHOR}"
    yield "note: signature first", f"{AUTHOR}\n{BODY}"


def proofs() -> Iterator[tuple[str, str]]:
    first, index, *lines = [*PROOF.split("\n")[:2], "\n".join(PROOF.split("\n")[2:])]
    rest = lines[0]
    for what, number in NUMBERS.items():
        yield f"index: {what}", f"{first}\nindex {number}\n{rest}"
    one, others = HASHES.split("\n", 1)
    for what, text in base64s(one).items():
        yield f"hash: {what}", f"{first}\n{index}\n{text}\n{others}\n{NOTE}"
    for what, text in base64s(b64(b"extra")).items():
        if what not in ("hexadecimal", "a byte less", "a byte more"):
            yield f"extra: {what}", f"{first}\nextra {text}\n{index}\n{rest}"
    for what, text in {
        "another version": f"c2sp.org/tlog-proof@v2\n{index}\n{rest}",
        "no first line": f"{index}\n{rest}",
        "an empty line at the beginning": f"\n{PROOF}",
        "an empty line after the first": f"{first}\n\n{index}\n{rest}",
        "a space after the first line": f"{first} \n{index}\n{rest}",
        "no index": f"{first}\n{rest}",
        "two indices": f"{first}\n{index}\n{index}\n{rest}",
        "an index in capitals": f"{first}\nINDEX 11\n{rest}",
        "an index after a tab": f"{first}\nindex\t11\n{rest}",
        "an index after two spaces": f"{first}\nindex  11\n{rest}",
        "empty extra data": f"{first}\nextra \n{index}\n{rest}",
        "extra data without a space": f"{first}\nextra\n{index}\n{rest}",
        "extra data twice": f"{first}\nextra AAAA\nextra AAAA\n{index}\n{rest}",
        "extra data after the index": f"{first}\n{index}\nextra AAAA\n{rest}",
        "too much extra data": f"{first}\nextra {b64(bytes(1025))}\n{index}\n{rest}",
        "an unknown field": f"{first}\nsize 14\n{index}\n{rest}",
        "54 hashes": f"{first}\n{index}\n{(one + chr(10)) * 54}\n{NOTE}",
        "no empty line before the note": f"{first}\n{index}\n{HASHES}{NOTE}",
        "two empty lines before the note": f"{first}\n{index}\n{HASHES}\n\n{NOTE}",
        "an empty line between hashes": f"{first}\n{index}\n{one}\n\n{others}\n{NOTE}",
        "Windows line ends": PROOF.replace("\n", "\r\n"),
        "one Windows line end": PROOF.replace("index 11\n", "index 11\r\n"),
        "no note": f"{first}\n{index}\n{HASHES}\n",
        "nothing after the index": f"{first}\n{index}\n",
        "half a note": f"{first}\n{index}\n{HASHES}\n{BODY}",
        "a note with an extension line": f"{first}\n{index}\n{HASHES}\n{signed(BODY + 'extension' + chr(10))}",
        "text after the note": f"{PROOF}more\n",
        "a byte order mark": f"\ufeff{PROOF}",
        "nothing": "",
    }.items():
        yield f"proof: {what}", text


def false_proofs() -> Iterator[tuple[str, str]]:
    """Well spelled, and not true of `entry 11`."""
    first, rest = "c2sp.org/tlog-proof@v1", f"\n{NOTE}"
    lines = HASHES.splitlines()
    for what, index, hashes in (
        ("the index beside it", 10, lines),
        ("an index beyond the tree", 14, lines),
        ("no hashes", 11, []),
        ("a hash less", 11, lines[:-1]),
        ("a hash more", 11, [*lines, lines[0]]),
        ("its hashes backwards", 11, lines[::-1]),
    ):
        yield what, "\n".join([first, f"index {index}", *hashes, ""]) + rest
    other = f"{name(9)}\n14\n{ROOT}\n"
    yield "another log's note", f"{first}\nindex 11\n{HASHES}\n{other}\n{author_line(other, name(9))}"
    swapped = f"{ORIGIN}\n14\n{b64(bytes(32))}\n"
    yield "another root", f"{first}\nindex 11\n{HASHES}\n{swapped}\n{author_line(swapped)}"
    yield "another author", f"{first}\nindex 11\n{HASHES}\n{BODY}\n{author_line(BODY, ORIGIN, 9)}"


def false_cosignatures() -> Iterator[tuple[str, str]]:
    """A note with one cosignature by witness 2 that is not one of this checkpoint."""
    other = BODY.replace("\n14\n", "\n15\n")
    head = f"{BODY}\n{AUTHOR}"
    time = f"time {TIME}\n"
    for what, message in {
        "of another checkpoint": f"cosignature/v1\n{time}{other}",
        "of another time": f"cosignature/v1\ntime {TIME + 1}\n{BODY}",
        "of no time": f"cosignature/v1\n{BODY}",
        "of a time with a leading zero": f"cosignature/v1\ntime 0{TIME}\n{BODY}",
        "of version 2": f"cosignature/v2\n{time}{BODY}",
        "of the body alone": BODY,
        "of a body without its last line end": f"cosignature/v1\n{time}{BODY[:-1]}",
        "with Windows line ends": f"cosignature/v1\r\ntime {TIME}\r\n{BODY}",
        "of the whole note": f"cosignature/v1\n{time}{NOTE}",
    }.items():
        yield what, head + cosigner_line(BODY, 2, message=message)
    yield "of a time beyond 2^63 - 1", head + cosigner_line(BODY, 2, 1 << 63)
    yield "under the key id of a plain signature", head + cosigner_line(BODY, 2, algorithm=1)
    plain = private(2).sign(BODY.encode())
    sealed = b64(key_id(name(2), 4, public(2)) + plain)
    yield "without a time", f"{head}{DASH} {name(2)} {sealed}\n"
    yield "with a byte more", f"{head}{DASH} {name(2)} {b64(key_id(name(2), 4, public(2)) + bytes(9) + plain)}\n"
    yield "by another key", head + cosigner_line(BODY, 3).replace(name(3), name(2))
    yield "by the author in plain", head + author_line(BODY, name(2), 2)


def verifier_keys() -> Iterator[tuple[str, str]]:
    label, hint, key = vkey(1, 1).split("+", 2)
    raw = bytes([1]) + public(1)
    yield from {
        "nothing": "",
        "two parts": f"{label}+{hint}",
        "one part more": f"{label}+{hint}+{key}+x",
        "no name": vkey(1, 1, " ").replace(" ", "", 1),
        "a name with a space": vkey(1, 1, "a b"),
        "a name that is not ASCII": vkey(1, 1, "é"),
        "a wrong key id": f"{label}+00000000+{key}",
        "a key id in capitals": f"{label}+{hint.upper()}+{key}" if hint.upper() != hint else f"{label}+ABCDEF01+{key}",
        "a short key id": f"{label}+{hint[:-1]}+{key}",
        "another's key id": f"{label}+{vkey(2, 1).split('+')[1]}+{key}",
        "an unknown algorithm": vkey(1, 2),
        "a key of 31 bytes": f"{label}+{key_id(label, 1, public(1)[:-1]).hex()}+{b64(raw[:-1])}",
        "a key of 33 bytes": f"{label}+{key_id(label, 1, public(1) + b'x').hex()}+{b64(raw + b'x')}",
        "no algorithm": f"{label}+{hint}+{b64(public(1))}",
        "no key": f"{label}+{hint}+",
        "the URL alphabet": f"{label}+{hint}+-_{key[2:]}",
        "a line end": f"{label}+{hint}+{key}\n",
        "a space before": f" {label}+{hint}+{key}",
    }.items()
    identity = bytes([1]) + bytes(31)
    yield "a key of small order", f"x+{key_id('x', 1, identity).hex()}+{b64(bytes([1]) + identity)}"
    large = (2**255 - 18).to_bytes(32, "little")  # y = 1 again, plus the prime
    yield "a key in a second spelling", f"x+{key_id('x', 1, large).hex()}+{b64(bytes([1]) + large)}"


def policies() -> Iterator[tuple[str, str]]:
    log, *witnesses = POLICY.splitlines()[:4]
    group, quorum = POLICY.splitlines()[4:]
    two = witnesses[0]

    def lines(*items: str) -> str:
        return "".join(f"{item}\n" for item in items)

    head = (log, *witnesses)
    for what, number in {
        "a plus sign": "+2",
        "a leading zero": "02",
        "an underscore": "0_2",
        "a minus sign": "-2",
        "hexadecimal": "0x2",
        "an exponent": "2e0",
        "a fraction": "2.0",
        "other scripts' digits": "٢",
        "a digit that is no decimal": "²",
        "400 digits": "0" * 399 + "2",
    }.items():
        yield f"threshold: {what}", lines(*head, f"group majority {number} w2 w3 w4", quorum)
    for what, text in {
        "none needed": lines(*head, "group majority 0 w2 w3", quorum),
        "more needed than there are": lines(*head, "group majority 3 w2 w3", quorum),
        "another word": lines(*head, "group majority most w2 w3", quorum),
        "no members": lines(*head, "group majority any", quorum),
    }.items():
        yield f"threshold: {what}", text
    for what, text in {
        "nothing": "",
        "no quorum": lines(*head, group),
        "two quorums": lines(*head, group, quorum, quorum),
        "a quorum above its group": lines(*head, quorum, group),
        "a quorum of a stranger": lines(*head, group, "quorum others"),
        "a quorum of two": lines(*head, "quorum w2 w3"),
        "a quorum of nothing": lines(*head, "quorum"),
        "a member defined below": lines(log, *witnesses[:2], group, witnesses[2], quorum),
        "a member that nobody defined": lines(*head, "group majority 2 w2 w3 w9", quorum),
        "a group in itself": lines(*head, "group majority 1 majority", quorum),
        "none as a member": lines(*head, "group majority any none", quorum),
        "a witness called none": lines(log, two.replace("w2", "none"), "quorum none"),
        "a group called none": lines(*head, "group none any w2", "quorum none"),
        "a member twice in a group": lines(*head, "group majority 2 w2 w2 w3", quorum),
        "a member of two groups": lines(*head, "group a any w2", "group majority 2 w2 w3", quorum),
        "two witnesses of one name": lines(*head[:2], head[2].replace("w3", "w2"), quorum.replace("majority", "w2")),
        "a group with a witness's name": lines(*head, "group w2 any w3", "quorum w2"),
        "two groups of one name": lines(*head, "group a any w2", "group a any w3", "quorum a"),
        "a witness twice": lines(*head, f"witness w5 {vkey(2, 4)}", group, quorum),
        "a witness's key under two names": lines(*head, f"witness w5 {vkey(2, 4, 'other.example')}", group, quorum),
        "a log twice": lines(log, *head, group, quorum),
        "a log's key under two names": lines(f"log {vkey(1, 1, 'other.example')}", *head, group, quorum),
        "a log with a witness's key": lines(f"log {vkey(1, 4)}", *witnesses, group, quorum),
        "a witness with a log's key": lines(log, f"witness w2 {vkey(2, 1)}", "quorum w2"),
        "a log with two addresses": lines(f"{log} https://a https://b", *witnesses, group, quorum),
        "a witness with two addresses": lines(log, f"{two} https://a https://b", "quorum w2"),
        "a witness without a key": lines(log, "witness w2", "quorum w2"),
        "a log without a key": lines("log", *witnesses, group, quorum),
        "a bad key": lines(log, two[:-1], "quorum w2"),
        "a line of another kind": lines(*head, "relay x", group, quorum),
        "a word in capitals": lines(*head, group, quorum.replace("quorum", "Quorum")),
        "a comment behind a line": lines(*head, group, f"{quorum} # most of them"),
        "Windows line ends": POLICY.replace("\n", "\r\n"),
        "a form feed": lines(*head, group, "\f", quorum),
        "a zero byte": lines(*head, group, "#\0", quorum),
        "the delete character": lines(*head, group, "#\x7f", quorum),
        "no last line end": POLICY[:-1],
        "a comment without a line end": POLICY + "# the end",
        "a space of Unicode": POLICY.replace("quorum ", "quorum\u00a0"),
    }.items():
        yield f"policy: {what}", text


def read_policies() -> Iterator[tuple[str, str, list[int], bool]]:
    """Policies that are read, whose cosignatures a note bears, and whether that is enough."""
    log, *witnesses = POLICY.splitlines()[:4]
    free = "\t # most of us\n\n" + "\n".join([log, *reversed(witnesses)]).replace(" ", " \t ") + " \nquorum\tw2\t\n"
    sites = "".join(f"{line} https://{n}.example/\n" for n, line in enumerate((log, *witnesses))) + "quorum w4\n"
    tree_of = "".join(f"{line}\n" for line in (log, *witnesses)) + "group a any w2 w3\ngroup b all a w4\nquorum b\n"
    every = "".join(f"{line}\n" for line in (log, *witnesses)) + "group b all w2 w3 w4\nquorum b\n"
    nobody = "quorum none\n"
    foreign = f"log {vkey(9, 1)}\nquorum none\n"
    unicode = f"# größer\nlog {vkey(1, 1)}\nwitness größe {vkey(2, 4)}\nquorum größe\n"
    yield from (
        ("two of three", POLICY, [2, 4], True),
        ("one of three", POLICY, [3], False),
        ("none of three", POLICY, [], False),
        ("strangers", POLICY, [5, 6, 7], False),
        ("two of three and a stranger", POLICY, [2, 3, 9], True),
        ("comments, tabs and blank lines: the one", free, [2], True),
        ("comments, tabs and blank lines: another", free, [3, 4], False),
        ("addresses", sites, [4], True),
        ("a group in a group: both", tree_of, [3, 4], True),
        ("a group in a group: one branch", tree_of, [2, 3], False),
        ("all: every one", every, [2, 3, 4], True),
        ("all: one missing", every, [2, 3], False),
        ("nobody needed", nobody, [], True),
        ("of another log", foreign, [], False),
        ("names beyond ASCII", unicode, [2], True),
    )


def spelled() -> str:
    """The file, one vector on a line."""
    rows: list[dict[str, Any]] = [{"kind": "accept", "as": "checkpoint", "what": "the author alone", "text": NOTE}]
    rows += [
        {"kind": "accept", "as": "checkpoint", "what": "three cosignatures", "text": COSIGNED, "times": [TIME] * 3},
        {"kind": "accept", "as": "proof", "what": "entry 11 of 14", "text": PROOF},
        {"kind": "accept", "as": "key", "what": "a log's", "text": vkey(1, 1)},
        {"kind": "accept", "as": "key", "what": "a witness's", "text": vkey(2, 4)},
    ]
    for what, text, by, enough in read_policies():
        note = NOTE + "".join(cosigner_line(BODY, number) for number in by)
        rows.append({"kind": "policy", "what": what, "text": text, "note": note, "satisfied": enough})
    for form, vectors in (
        ("checkpoint", [*checkpoints(), *notes()]),
        ("proof", proofs()),
        ("key", verifier_keys()),
        ("policy", policies()),
    ):
        rows += [{"kind": "refuse", "as": form, "what": what, "text": text} for what, text in vectors]
    for form, false in (("proof", false_proofs()), ("cosignature", false_cosignatures())):
        rows += [{"kind": "false", "as": form, "what": what, "text": text} for what, text in false]
    keys = {str(number): public(number).hex() for number in range(1, 10)}
    head = json.dumps({"spec": "c2sp notes/1", "origin": ORIGIN, "keys": keys})[:-1]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return f'{head}, "vectors": [\n{lines}\n]}}\n'


def published() -> Any:
    """What the file says."""
    return json.loads(VECTORS.read_text("utf-8"))


def rows(kind: str, form: str = "") -> list[Any]:
    """The published vectors of one kind, each with its name, for pytest.mark.parametrize."""
    return [
        pytest.param(row, id=row["what"])
        for row in published()["vectors"]
        if row["kind"] == kind and row.get("as", "") == form
    ]


if __name__ == "__main__":
    VECTORS.write_text(spelled(), encoding="utf-8")
