"""`gossip ledger anchor`: time stamps from outside the swarm over this peer's log (RFC 3161).

    request  newest own checkpoint --> FILE.tsq            people send it to an authority of their choice
    add      FILE.tsr --checked--> an entry of the own log, written by the node, or here if none runs
    verify   every time stamp of a bundle, held against a root certificate of the auditor's own

Rules kept here: nothing is sent and nobody is called; an answer counts only if it answers a query of this peer (told
by its nonce, which the store remembers) and is over the very checkpoint that was asked about; nothing is written before
all of that holds. What a token proves is `ledger.timestamp`'s business.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import control, exits, passphrase, render, settings
from cli.group import Gossip
from cli.plain import visible
from ledger.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from ledger.checkpoint import Checkpoint
    from ledger.store import Store

app = typer.Typer(cls=Gossip, help="Time stamps from outside the swarm.")

ASKED: Final = "anchor_queries"  # meta: nonce -> size of the log, of the newest queries
MAX_ASKED: Final = 64

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The swarm, if there are several.")]
Dir = Annotated[Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Offline = Annotated[bool, typer.Option("--offline", help="With no node running: do not ask the others first.")]
Root = Annotated[
    Path | None, typer.Option("--root", metavar="CERT.pem", help="Check the signature, too: the authority's root.")
]


@app.command()
def request(
    name: Name = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.tsq", help="Where to write it. ./NAME-SIZE.tsq if left out.")
    ] = None,
    directory: Dir = None,
    json: Json = False,
) -> None:
    """Ask for a time stamp over this peer's newest checkpoint: write the query to a file."""
    place = settings.existing_directory(name, directory)
    from gossip.directory import store_path
    from ledger.store import PutMeta, Store
    from ledger.timestamp import make_query, require_library

    require_library()
    with Store(store_path(place)) as store:
        signed = store.checkpoint(store.meta("self").decode())
        if signed is None:
            raise LocalError("this peer has signed nothing yet", next_step="start it with: gossip run")
        checkpoint = _checkpoint(store, signed.size)
        query, nonce = make_query(checkpoint.body())
        file = out if out is not None else Path(f"{place.name}-{checkpoint.size}.tsq")
        try:
            with file.open("xb") as opened:
                opened.write(query)
        except FileExistsError:
            raise LocalError(f"there is a file {file} already", next_step="name another with --out") from None
        asked = [*_asked(store).items(), (str(nonce), checkpoint.size)][-MAX_ASKED:]
        store.commit([PutMeta(ASKED, _encoded(dict(asked)))])
    answer = file.with_suffix(".tsr")
    send = (
        "curl -sS -H 'Content-Type: application/timestamp-query' "
        f"--data-binary @{shlex.quote(str(file))} -o {shlex.quote(str(answer))} AUTHORITY-URL"
    )
    if json:
        render.document({"file": str(file), "log": checkpoint.origin, "size": checkpoint.size, "send": send})
        return
    render.say(f"wrote   {file}: a query over the first {render.many(checkpoint.size, 'entry')} of this peer's log")
    render.say("        It holds a hash and a random number, and nothing else. Send it to an authority of your choice:")
    render.say(f"Next    {send}")
    render.say(f"        gossip ledger anchor add {shlex.quote(str(answer))} --root CERT.pem")


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE.tsr", help="The authority's answer.")],
    name: Name = None,
    root: Root = None,
    directory: Dir = None,
    passphrase_file: passphrase.File = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Write the authority's answer down in this peer's log, for everybody to keep."""
    from cli import known
    from ledger.timestamp import MAX_RESPONSE_BYTES, open_response, read_token, require_library, verify_token

    require_library()
    place = settings.existing_directory(name, directory)
    from gossip.directory import store_path
    from ledger.store import Store

    roots = known.roots([root] if root is not None else [])
    token = open_response(_read(file, MAX_RESPONSE_BYTES))
    stamp = read_token(token)
    with Store.open_readonly(store_path(place)) as store:
        size = _asked(store).get(str(stamp.nonce))
        if size is None:
            raise LocalError(
                f"{file} answers no query of this peer", next_step="ask with: gossip ledger anchor request"
            )
        _refuse_twice(store, token)
        body = _checkpoint(store, size).body()
    if _sha256(body) != stamp.imprint:
        raise RemoteError(
            f"{file} is over something else than this peer's log",
            why=f"the checkpoint of its first {render.many(size, 'entry')} was asked about",
        )
    if roots is not None:
        verify_token(token, body, roots)
    seq = _write(place, passphrase_file, size, token, offline=offline)
    facts: dict[str, Any] = {
        "size": size, "seq": seq, "time": stamp.time, "authority": stamp.authority, "verified": roots is not None,
    }  # fmt: skip
    if json:
        render.document(facts)
        return
    word = "existed" if roots is not None else "are said to have existed"
    render.say(f"anchor  the first {render.many(size, 'entry')} {word} before {render.moment(stamp.time)}")
    render.say(f"by      {visible(stamp.authority, 200) or '(unnamed)'}")
    if seq is None:
        render.say("The node writes it as soon as it has heard from another peer; see it with: gossip ledger log")
    else:
        render.say(f"entry   {seq}")
    if roots is None:
        render.say("The authority's signature was not checked: --root CERT.pem does that.")


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What gossip ledger bundle made.")],
    root: Annotated[
        Path, typer.Option("--root", metavar="CERT.pem", help="The root certificates that you trust, in PEM.")
    ],
    json: Json = False,
) -> None:
    """Check every time stamp of a bundle, and say what existed before when."""
    from cli import damaged, known
    from ledger.anchors import Missing, Proven, anchors_in
    from ledger.bundle_files import open_bundle
    from ledger.first_look import first_look
    from ledger.report import Anchors, Finding

    roots = known.roots([root])
    assert roots is not None
    try:
        with open_bundle(bundle) as contents:
            look = first_look(contents, Anchors()).findings
            known_files = {one.file for one in look}
            found: list[Proven | Missing | Finding] = [
                one
                for one in anchors_in(contents, roots)
                if not (isinstance(one, Finding) and one.file in known_files)  # said already, in other words
            ]
            found += look
    except RemoteError as error:
        found = [damaged.finding_of(error, bundle)]
    proven = [one for one in found if isinstance(one, Proven)]
    missing = [one for one in found if isinstance(one, Missing)]
    findings = [one for one in found if isinstance(one, Finding)]
    verdict = "findings" if findings else "clean" if proven and not missing else "inconclusive"
    if json:
        render.document({
            "verdict": verdict, "proven": [asdict(one) for one in proven],
            "missing": [asdict(one) for one in missing], "findings": [asdict(one) for one in findings],
        })  # fmt: skip
    else:
        rows = [
            (f"{one.log[:12]}/{one.seq}", f"{one.size:,}", render.moment(one.time), visible(one.authority, 60))
            for one in proven
        ]
        if rows:
            render.table(("anchor", "entries", "existed before", "by the word of"), rows, right=(1,))
        for one in missing:
            render.say(f"MISSING  log {one.log[:12]} entry {one.seq}: its token {one.token[:12]} is not in the bundle")
        for finding in findings:
            log = f"log {finding.log[:12]}" if finding.log else "bundle"
            where = f"{log} entry {finding.index}" if finding.index >= 0 else log
            render.say(f"FINDING  {where}: {finding.rule}: {visible(finding.detail, 300)}  [{visible(finding.file)}]")
        render.say(_WORDS[verdict])
    raise typer.Exit({"clean": exits.OK, "findings": exits.FINDINGS}.get(verdict, exits.INCONCLUSIVE))


_WORDS: Final = {
    "clean": "Whether these entries keep the swarm's rules: gossip ledger verify",
    "findings": "FINDINGS  what is said of these time stamps does not hold",
    "inconclusive": "INCONCLUSIVE  there is no time stamp here, or not all of one",
}


def _read(file: Path, limit: int) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(limit + 1)
    if len(data) > limit:
        raise LocalError(f"{file} is no time stamp", why=f"it is larger than {render.size(limit)}")
    return data


def _checkpoint(store: Store, size: int) -> Checkpoint:
    """That of the first `size` own entries, made from them."""
    from ledger.checkpoint import Checkpoint, origin

    own = store.meta("self").decode()
    if not 0 < size <= store.size(own):
        raise LocalError(
            "this peer lacks entries of its own log", why=f"{size} were signed for",
            next_step="start it with gossip run, and try again when it has fetched them",
        )  # fmt: skip
    return Checkpoint(origin(store.meta("swarm").decode(), own), size, store.tree(own).root(size))


def _refuse_twice(store: Store, token: bytes) -> None:
    from ledger.canonical import decode_entry
    from ledger.entry import Anchor

    digest = _sha256(token).hex()
    for seq, data in enumerate(store.entries(store.meta("self").decode())):
        if digest.encode() in data and isinstance(decode_entry(data), Anchor):
            raise LocalError(f"this time stamp is in the log already, as entry {seq}")


def _write(place: Path, file: Path | None, size: int, token: bytes, *, offline: bool) -> int | None:
    """The index of the new entry; None if the node that runs is still to write it."""
    import base64

    answer = control.ask(place, "anchor", size=size, token=base64.b64encode(token).decode())
    if answer is not None:
        seq = answer.get("seq")
        return seq if isinstance(seq, int) else None
    from gossip.identity import KeyFiles
    from gossip.node.alone import add_anchor

    return add_anchor(place, passphrase.existing(KeyFiles(place).is_locked, file), size, token, offline=offline)


def _asked(store: Store) -> dict[str, int]:
    """The queries that may still be answered: nonce -> size, oldest first."""
    import json

    found = store.find_meta(ASKED)
    return dict(json.loads(found)) if found is not None else {}


def _encoded(asked: dict[str, int]) -> bytes:
    import json

    return json.dumps(asked).encode()


def _sha256(data: bytes) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()
