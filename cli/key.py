"""`gossip key show`: who this peer is, for reading out to somebody else.

The peer id is a hash of the first entry of the peer's log; four words say the same for people. Private
keys are never printed; where the file lies is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import render, settings
from cli.group import Gossip

app = typer.Typer(cls=Gossip, help="This peer's identity.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The swarm, if there are several.")] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show the peer id, its four words and its public key."""
    place = settings.existing_directory(name, directory)
    from gossip.directory import keys_path, store_path
    from ledger.keys import PrivateKey, words
    from ledger.store import Store

    file = keys_path(place) / "current"
    key = PrivateKey.load(file)
    with Store.open_readonly(store_path(place)) as store:
        peer, swarm = store.meta("self").decode(), store.meta("swarm").decode()
    facts = {"peer": peer, "words": words(peer), "key": key.public.hex(), "swarm": swarm, "file": str(file)}
    if json:
        render.document(facts)
        return
    for title, value in facts.items():
        render.say(f"{title:6} {value}")
