"""The demo's split: the same every time, by site, unequal, and with sites that nobody has seen."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists.requests import Request, read_requests
from gossip.filterlists.split import DEMO_TABLE, HELD_OUT, Share, deal, is_held_out, registrable, site_of, write_demo


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Share:
    return write_demo(tmp_path_factory.mktemp("demo"), peers=4, seed=1)


def rows_of(share: Share) -> tuple[list[list[Request]], list[Request]]:
    return [list(read_requests(path)) for path, _ in share.peers], list(read_requests(share.validation))


def test_no_site_is_on_two_sides(share: Share) -> None:
    peers, held_out = rows_of(share)
    sides = [{site_of(row.page) for row in side} for side in (*peers, held_out)]
    assert sum(map(len, sides)) == len(set().union(*sides))


def test_shares_are_unequal_as_declared_and_no_row_is_lost(share: Share) -> None:
    peers, held_out = rows_of(share)
    total = sum(map(len, peers)) + len(held_out)
    assert total == 17_038
    assert [len(side) for side in peers] == [rows for _, rows in share.peers]
    assert len(held_out) == share.held_out
    for side, part in zip(peers, (0.45, 0.30, 0.17, 0.08), strict=True):
        assert abs(len(side) / total - part * (1 - HELD_OUT)) < 0.02


def test_unseen_domains_are_really_unseen(share: Share) -> None:
    peers, held_out = rows_of(share)
    known = {registrable(urlsplit(row.url).hostname or "") for side in peers for row in side}
    marked = [row for row in held_out if row.group == "domains"]
    assert len(marked) > 300
    assert all(row.party and registrable(urlsplit(row.url).hostname or "") not in known for row in marked)
    unmarked = [row for row in held_out if row.group == "" and row.party]
    assert all(registrable(urlsplit(row.url).hostname or "") in known for row in unmarked)


def test_the_same_seed_splits_the_same_and_another_differently(share: Share, tmp_path: Path) -> None:
    again = write_demo(tmp_path / "again", peers=4, seed=1)
    other = write_demo(tmp_path / "other", peers=4, seed=2)
    assert again.validation.read_bytes() == share.validation.read_bytes()
    assert other.validation.read_bytes() != share.validation.read_bytes()


@settings(max_examples=50)
@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 500), max_size=30),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=6),
    st.integers(0, 99),
)
def test_every_site_gets_one_holder_whatever_the_order_given(
    sizes: dict[str, int], shares: list[float], seed: int
) -> None:
    dealt = deal(sizes, shares, seed)
    assert dealt.keys() == sizes.keys()
    assert set(dealt.values()) <= set(range(len(shares)))
    assert deal(dict(reversed(sizes.items())), shares, seed) == dealt


def test_what_a_peer_holds_out_depends_on_the_site_alone() -> None:
    sites = [f"site{i}.example" for i in range(2_000)]
    out = [site for site in sites if is_held_out(site, 0.25)]
    assert 400 < len(out) < 600
    assert all(is_held_out(site, 0.5) for site in out)  # a larger share keeps the ones it had
    assert not any(is_held_out(site, 0.0) for site in sites)


def test_the_notice_tells_the_truth_about_the_table() -> None:
    notice = DEMO_TABLE.with_name("NOTICE").read_text("utf-8")
    rows = [json.loads(line) for line in gzip.decompress(DEMO_TABLE.read_bytes()).splitlines()]
    labels = Counter(row["label"] for row in rows)
    assert f"{len(rows):,} labelled requests of {len({site_of(row['page']) for row in rows})} sites" in notice
    assert f"{labels['ad']:,} / {labels['tracker']:,} / {labels['benign']:,}" in " ".join(notice.split())
    assert "Mozilla Public License, version 2.0" in notice
    assert len(re.findall(r"sha256 [0-9a-f]{64}", notice)) == 6
    assert max(len(row["url"]) for row in rows) <= 400
    assert DEMO_TABLE.stat().st_size <= 600_000


def test_the_packed_table_carries_no_clock() -> None:
    assert DEMO_TABLE.read_bytes()[4:8] == bytes(4)
