"""The bench of the data plane, end to end with few bytes: what it says it carried has been carried."""

from __future__ import annotations

import pytest

from cli.bench import dataplane
from cli.bench.blobpair import blobs
from cli.bench.carriers import LIBRARIES, link, tcp
from cli.bench.dataplane import GOAL_AT, GOALS, Row
from ledger.store import PutBlob, Store


@pytest.mark.e2e
def test_every_carrier_has_a_figure_beside_bare_tcp_and_the_bare_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataplane, "QUICK", {20_000: 1})
    section = dataplane.measure(quick=True)
    figures = {figure.name.partition(": ")[2]: figure for figure in section.figures}
    wanted = {f"{what} {library}" for library in LIBRARIES for what in ("bare", "link,", "blob,")}
    assert {"bare TCP", *wanted} <= set(figures)
    assert len(figures) == 1 + len(LIBRARIES) + 2 * len(LIBRARIES) * (len(LIBRARIES) + 1) // 2
    assert all(figure.value for figure in figures.values())
    assert all("x bare, cpu" in figures[name].note for name in wanted if not name.startswith("bare"))


@pytest.mark.e2e
async def test_a_blob_counts_as_carried_when_it_is_on_disk_and_either_end_may_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[int] = []
    commit = Store.commit

    def watched(store: Store, writes: list[PutBlob]) -> None:
        commit(store, writes)
        kept.append(len(writes[0].data))

    monkeypatch.setattr(Store, "commit", watched)
    async with blobs("aiortc", "aiortc") as carrier:
        for back, size in ((False, 70_000), (True, 300_000)):
            carrier.ready(size, back=back)
            await carrier.carry(size, back=back)
    assert kept == [70_000, 70_000, 300_000, 300_000]  # at whoever holds it, and at whoever wanted it


@pytest.mark.e2e
@pytest.mark.parametrize("back", [False, True])
async def test_carriers_carry_both_ways(back: bool) -> None:
    async with tcp() as bare, link("aiortc", "aiortc") as ours:
        for carrier in (bare, ours):
            await carrier.carry(100_001, back=back)


def test_a_blob_of_16_mb_is_held_against_the_bare_library() -> None:
    mixed = "link, aiortc and aiolibdatachannel"
    walls = {"bare TCP": 0.1, "bare aiortc": 8.0, "blob, aiortc": 10.0, mixed: 9.0}
    rows = {name: Row(name, ([wall], [wall]), [1.0]) for name, wall in walls.items()}
    figure = dataplane._figure(rows["blob, aiortc"], rows, GOAL_AT)
    assert figure.met is False
    assert figure.goal is not None
    assert figure.goal.limit == pytest.approx(GOALS["aiortc"] * 2.0)  # MB/s: 16 in 8 s
    assert dataplane._figure(rows["blob, aiortc"], rows, 64_000).goal is None
    assert dataplane._figure(rows[mixed], rows, GOAL_AT).goal is None
