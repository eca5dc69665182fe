"""`gossip ledger prove`: one entry and one file that proves it, for somebody who has neither the log nor our code.

    log --the newest cosigned checkpoint over the entry, else its author's--> FILE, FILE.entry, and a key to hold it to
    FILE, FILE.entry, a key or a policy from elsewhere --> good | bad | inconclusive

The format is C2SP's tlog-proof (`ledger.proof`): any tool that knows it checks it. A proof that is checked against
nothing of the checker's own shows nothing, for anybody can sign a log of their own; it is called inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import damaged, entries, render
from cli.causal import Line
from cli.plain import plain
from cli.sources import Source
from ledger.chain import peer_of
from ledger.checkpoint import Checkpoint, open_note, origin, parse_checkpoint
from ledger.cosignature import cosignatures
from ledger.entry import MAX_ENTRY_BYTES, Enrol, Recover, Rotate
from ledger.errors import LocalError, RemoteError
from ledger.merkle import Tree, leaf_hash, verify_inclusion
from ledger.note import parse_verifier_key, verifier_key, verify_text
from ledger.promise import names_key
from ledger.proof import MAX_PROOF_BYTES, TlogProof, parse_proof, print_proof
from ledger.report import Finding
from ledger.tlog_policy import MAX_POLICY_BYTES, TlogPolicy, parse_policy, satisfied

GOOD, BAD, OPEN = "good", "bad", "inconclusive"


@dataclass(frozen=True, slots=True)
class Proved:
    """An entry, the proof of it, and whose word it is."""

    line: Line
    proof: TlogProof
    checkpoint: Checkpoint
    public: bytes  # the key that signed
    witnesses: tuple[str, ...]  # who else signed, by name where the source knows one; their signatures are unverified

    @property
    def key(self) -> str:
        return verifier_key(self.checkpoint.origin, self.public)


def prove(source: Source, wanted: str) -> Proved:
    """The proof of the entry that `wanted` names. LocalError if nobody has signed for it yet; Damaged if files of a
    bundle stand in the way. What is wrong elsewhere in it does not: a proof holds by itself."""
    line = entries.pick(source, wanted)
    try:
        return _prove(source, line)
    except (LocalError, RemoteError):
        if wrong := [finding for finding in source.findings if finding.log == line.log]:
            raise damaged.Damaged(wrong) from None
        raise


def _prove(source: Source, line: Line) -> Proved:
    tree = Tree()
    keys: list[bytes] = []
    for data in (source.files or source.logs)[line.log]():
        tree.append(leaf_hash(data))
        if names_key(data):
            keys += _keys(data)
    covers = [cover for cover in source.covers(line.log) if line.seq < cover.reach]
    if not covers:
        raise LocalError(
            f"nobody has signed for entry {line.seq} of log {line.log[:8]} yet",
            next_step="wait for the author's next checkpoint, or ask somebody who has it",
        )
    best = max(covers, key=lambda cover: (bool(cosignatures(cover.note)), cover.size))
    _, checkpoint = parse_checkpoint(best.note)
    proof = TlogProof(line.seq, best.inclusion(tree, line.seq), best.note)
    public = next((key for key in keys[::-1] if _signed(best.note, key)), None)
    if public is None:
        raise RemoteError(f"the checkpoint of log {line.log[:8]} is signed by no key of that log")
    if checkpoint.origin != origin(source.swarm, peer_of(line.log)):
        raise RemoteError(f"the checkpoint of log {line.log[:8]} is of another log", why=plain(checkpoint.origin, 200))
    verify_inclusion(leaf_hash(line.data), line.seq, checkpoint.size, proof.hashes, checkpoint.root)
    names = source.names()
    known = {origin(source.swarm, peer_of(log)): names.get(log, "") or log[:8] for log in source.logs}
    others = tuple(known.get(signature.name, plain(signature.name, 24)) for signature in cosignatures(best.note))
    return Proved(line, proof, checkpoint, public, others)


def facts(proved: Proved) -> dict[str, Any]:
    data = print_proof(proved.proof)
    return {
        "log": proved.line.log,
        "index": proved.line.seq,
        "hash": proved.line.hash,
        "entry": proved.line.data.decode(),
        "proof": data.decode(),
        "proof_bytes": len(data),
        "origin": proved.checkpoint.origin,
        "size": proved.checkpoint.size,
        "witnesses": list(proved.witnesses),
        "key": proved.key,
    }


def write(proved: Proved, out: Path) -> tuple[Path, Path]:
    """Write the proof, and the entry's bytes beside it. LocalError if something is there."""
    beside = out.with_name(out.name + ".entry")
    for path, data in ((out, print_proof(proved.proof)), (beside, proved.line.data)):
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            raise LocalError(f"{path} exists already", next_step="name another file with --out") from None
    return out, beside


def show(proved: Proved, out: Path | None, findings: Sequence[Finding] = (), *, json: bool) -> None:
    """Without --out the proof itself is what is printed, for a pipe."""
    told = facts(proved)
    if json:
        render.document({**told, "findings": damaged.listed(findings)})
        return
    if out is None:
        render.say(told["proof"].removesuffix("\n"))
        return
    beside = out.with_name(out.name + ".entry")
    by = ", cosigned by " + ", ".join(told["witnesses"]) if told["witnesses"] else ", signed by its author alone"
    render.say(
        f"wrote   {out}: {render.many(told['proof_bytes'], 'byte')}, entry {told['index']:,} of {told['size']:,}{by}"
    )
    render.say(f"        {beside}: the {render.many(len(proved.line.data), 'byte')} of the entry")
    render.say(f"key     {told['key']}")
    render.say("        from the log's own enrolment: compare it with what you know from its author")
    render.say(f"check   gossip ledger prove --check {out} --key '{told['key']}'")
    render.say("        or any tool for C2SP tlog-proof: the leaf is SHA-256 of a zero byte and the entry's bytes")


# ------------------------------------------------------------------ checking one


def check(proof_file: Path, entry_file: Path, policy_file: Path | None, key: str | None) -> dict[str, Any]:
    """What a proof shows, as facts. LocalError about our own files and keys; what is wrong with the proof is told."""
    policy = _policy(policy_file) if policy_file is not None else None
    wanted = _key(key) if key is not None else None
    told: dict[str, Any] = {
        "verdict": BAD,
        "why": "",
        "index": -1,
        "size": 0,
        "origin": "",
        "witnesses": [],
        "times": [],
    }
    try:
        proof = parse_proof(_read(proof_file, MAX_PROOF_BYTES))
        signed, checkpoint = parse_checkpoint(proof.note)
        told.update(index=proof.index, size=checkpoint.size, origin=checkpoint.origin)
        data = _read(entry_file, MAX_ENTRY_BYTES)
        verify_inclusion(leaf_hash(data), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    except RemoteError as error:
        return {**told, "why": str(error)}
    if wanted is not None and not verify_text(signed.text, signed.signatures[0], wanted.name, wanted.public):
        return {**told, "why": f"the checkpoint is not signed by the key that you named, {wanted.name}"}
    if policy is not None:
        outcome = satisfied(policy, proof.note)
        told.update(witnesses=list(outcome.witnesses), times=list(outcome.times))
        if not outcome.satisfied:
            broken = f"; cosignatures that are wrong: {', '.join(outcome.broken)}" if outcome.broken else ""
            return {**told, "why": f"the checkpoint does not satisfy the policy{broken}"}
    held = wanted is not None or (policy is not None and bool(policy.logs or outcome.witnesses))
    if not held:
        return {**told, "verdict": OPEN, "why": "the entry is in the log of this checkpoint, and anybody can sign one"}
    return {**told, "verdict": GOOD}


def show_check(told: dict[str, Any]) -> None:
    place = f"entry {told['index']:,} of {told['size']:,} of {plain(told['origin'], 200)}"
    if told["verdict"] == GOOD:
        render.say(f"GOOD  {place}")
        for witness, time in zip(told["witnesses"], told["times"], strict=True):
            render.say(f"      cosigned by {plain(witness, 120)} at {render.moment(time)}")
    elif told["verdict"] == OPEN:
        render.say(f"INCONCLUSIVE: {place}: {plain(told['why'], 300)}")
        render.say("Next    name whose word you take: --key VKEY or --policy FILE")
    else:
        render.say(f"BAD  {plain(told['why'], 400)}")


# ------------------------------------------------------------------ parts


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise LocalError(f"cannot read {path}", why=error.strerror or "", next_step="name another file") from None
    if len(data) > limit:
        raise RemoteError(f"{path.name} is too long", why=f"the limit is {limit} bytes")
    return data


def _policy(path: Path) -> TlogPolicy:
    try:
        return parse_policy(_read(path, MAX_POLICY_BYTES))
    except RemoteError as error:
        raise LocalError(f"{path} is no C2SP tlog-policy", why=str(error), next_step="name another file") from None


def _key(text: str) -> Any:
    try:
        return parse_verifier_key(text)
    except RemoteError as error:
        raise LocalError("--key is no verifier key", why=str(error), next_step="copy it whole: name+id+key") from None


def _keys(data: bytes) -> Sequence[bytes]:
    from ledger.canonical import decode_entry

    entry = decode_entry(data)
    return [bytes.fromhex(entry.key)] if isinstance(entry, Enrol | Rotate | Recover) else []


def _signed(note: bytes, public: bytes) -> bool:
    try:
        open_note(note, public)
    except RemoteError:
        return False
    return True
