"""Captures as people have them: every format gives the same requests, and what is broken says where."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists.captures import read_capture
from gossip.filterlists.features import TYPES
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import Tally, told
from ledger.errors import LocalError

PAGE = "https://news.example/"
AD = "https://ads.example/x.js"


def read(path: Path) -> tuple[list[Sighting], list[LocalError], Tally]:
    tally = Tally()
    rows = list(read_capture(path, tally=tally))
    seen = [row for row in rows if isinstance(row, Sighting)]
    assert tally.rows == len(seen)
    return seen, [row for row in rows if isinstance(row, LocalError)], tally


def written(folder: Path, data: bytes | str, name: str = "capture") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def entry(url: str, **more: Any) -> dict[str, Any]:
    mime = more.pop("mime", "")
    return {
        "request": {"method": "GET", "url": url, "headers": [{"name": "Cookie", "value": "a=b"}], "cookies": []},
        "response": {"status": 200, "content": {"size": 3, "mimeType": mime, "text": 'a"[]{}\\'}},
        **more,
    }


def har(*entries: dict[str, Any], pages: list[dict[str, Any]] | None = None) -> str:
    log = {"version": "1.2", "creator": {"name": "x"}}
    return json.dumps({"log": {**log, **({} if pages is None else {"pages": pages}), "entries": list(entries)}})


# ------------------------------------------------------------------ HAR


def test_what_chrome_writes(tmp_path: Path) -> None:
    pages = [{"startedDateTime": "2026-01-01T00:00:00.000Z", "id": "page_1", "title": PAGE, "pageTimings": {}}]
    text = har(
        entry("http://news.example/", pageref="page_1", _resourceType="document"),
        entry(PAGE, pageref="page_1", _resourceType="document", startedDateTime="2026-01-01T00:00:01.250Z"),
        entry(AD, pageref="page_1", _resourceType="script"),
        entry("https://frames.example/f", pageref="page_1", _resourceType="document"),
        entry(PAGE + "again", pageref="page_1", _resourceType="document"),
        entry("https://api.example/a", pageref="page_1", _resourceType="fetch"),
        entry("wss://chat.example/s", pageref="page_1", _resourceType="websocket"),
        pages=pages,
    )
    seen, errors, _ = read(written(tmp_path, text))
    assert not errors
    assert {row.page for row in seen} == {PAGE}
    assert [row.type for row in seen] == [
        "document", "document", "script", "subdocument", "subdocument", "xmlhttprequest", "websocket",
    ]  # fmt: skip
    assert seen[1].time == 1767225601.25


def test_what_firefox_and_safari_write_has_no_types(tmp_path: Path) -> None:
    pages = [{"startedDateTime": "2026-01-01T00:00:00.000+02:00", "id": "page_4", "title": PAGE}]
    mimes = {
        "": "text/html; charset=utf-8", "lib": "application/javascript", "style": "text/css", "p": "image/webp",
        "f": "font/woff2", "v": "video/mp4", "j": "application/ld+json",
        "a.woff": "application/octet-stream", "q": "x-unknown",
    }  # fmt: skip
    text = har(*(entry(PAGE + name, pageref="page_4", mime=mime) for name, mime in mimes.items()), pages=pages)
    seen, errors, _ = read(written(tmp_path, text))
    assert not errors
    assert [row.type for row in seen] == [
        "document", "script", "stylesheet", "image", "font", "media", "xmlhttprequest", "font", "other",
    ]  # fmt: skip


def test_what_playwright_writes_names_pages_by_their_titles(tmp_path: Path) -> None:
    """The page is then the first document asked for under its id, wherever that stands."""
    pages = [{"id": "page@1", "title": "The News"}, {"id": "page@2", "title": ""}]
    text = har(
        entry(AD, pageref="page@1", mime="text/javascript"),
        entry(PAGE, pageref="page@1", mime="text/html"),
        entry("https://ads.example/frame", pageref="page@1", mime="text/html"),
        entry("https://other.example/i.png", pageref="page@2", mime="image/png"),
        pages=pages,
    )
    seen, errors, tally = read(written(tmp_path, text))
    assert not errors
    assert [row.page for row in seen] == [PAGE, PAGE, PAGE, ""]
    assert [row.type for row in seen] == ["script", "document", "subdocument", "image"]
    assert tally.notes == ["1 name no page"]


def test_what_mitmproxy_writes_has_no_pages_and_that_is_said_once(tmp_path: Path) -> None:
    urls = (AD, "https://a.example/1.css", "wss://b.example/")
    text = json.dumps(json.loads(har(*map(entry, urls), pages=[])), indent=4)
    seen, errors, tally = read(written(tmp_path, text))
    assert not errors
    assert [(row.page, row.type) for row in seen] == [("", "script"), ("", "stylesheet"), ("", "websocket")]
    assert tally.pageless == 3
    assert tally.notes == ["no request names its page"]


def test_pages_may_stand_behind_the_entries(tmp_path: Path) -> None:
    log = {"entries": [entry(AD, pageref="p")], "pages": [{"id": "p", "title": "News", "_url": PAGE}]}
    seen, _, _ = read(written(tmp_path, json.dumps({"comment": 1, "log": log}).replace('"comment": 1, ', "")))
    assert [row.page for row in seen] == [PAGE]


def test_a_page_without_a_url_has_that_of_its_first_document_though_that_comes_late(tmp_path: Path) -> None:
    pages = [{"id": "p", "title": PAGE}, {"id": "q", "title": "Shop"}]
    shop = entry("https://shop.example/", pageref="q", _resourceType="document")
    seen, _, _ = read(written(tmp_path, har(entry(AD, pageref="p"), entry(AD, pageref="q"), shop, pages=pages)))
    assert [row.page for row in seen] == [PAGE, "https://shop.example/", "https://shop.example/"]


def test_pages_beyond_what_is_remembered_are_none_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossip.filterlists.har.MAX_PAGES_BYTES", 40)
    pages = [{"id": f"p{n}", "title": f"https://site{n}.example/"} for n in range(2)]
    seen, _, tally = read(written(tmp_path, har(*(entry(AD, pageref=f"p{n}") for n in range(2)), pages=pages)))
    assert [row.page for row in seen] == ["https://site0.example/", ""]
    assert "it names more pages than are remembered: requests of the last ones have none" in tally.notes


def test_what_an_extension_or_a_file_on_disk_asked_for_has_no_page(tmp_path: Path) -> None:
    rows = [{"url": AD, "page": page} for page in ("chrome-extension://abc/popup.html", "file:///home/ann/x.html")]
    seen, errors, tally = read(written(tmp_path, "\n".join(map(json.dumps, rows))))
    assert [(row.url, row.page) for row in seen] == [(AD, ""), (AD, "")]
    assert (errors, tally.pageless) == ([], 2)


def test_what_is_no_request_of_the_web_is_counted(tmp_path: Path) -> None:
    others = ("data:image/png;base64,AAAA", "blob:https://a.example/1", "chrome-extension://abc/x.js", "about:blank")
    seen, errors, tally = read(written(tmp_path, har(*map(entry, (*others, AD, others[0])))))
    assert [row.url for row in seen] == [AD]
    assert not errors
    assert tally.left_out == {"data": 2, "blob": 1, "chrome-extension": 1, "about": 1}
    assert "left out: 2 data: addresses, 1 blob: address, 1 chrome-extension: address, 1 about: address" in told(tally)


@pytest.mark.parametrize("packed", [False, True])
def test_a_har_that_was_cut_off_gives_what_came_before_and_says_where(tmp_path: Path, packed: bool) -> None:
    whole = har(
        *(entry(f"https://a.example/{i}.js", pageref="p") for i in range(50)), pages=[{"id": "p", "title": PAGE}]
    )
    cut = whole.encode()[: len(whole) // 2]
    path = written(tmp_path, gzip.compress(whole.encode())[:-20]) if packed else written(tmp_path, cut)
    seen, (error,), tally = read(path)
    assert 0 < len(seen) <= 50
    assert {row.page for row in seen} == {PAGE}
    assert tally.rows == len(seen)
    assert f"cannot be read after entry {len(seen)} (byte " in error.what
    assert error.next_step
    if not packed:
        assert f"(byte {len(cut):,})" in error.what
        assert error.why == "it ends in the middle"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"log":{"entries":[', "it ends in the middle"),
        ('{"log":{"entries":[{"request":{"url":"https://a.example/"}} {', "a comma or a bracket is missing"),
        ('{"log":{"entries":[{"request" "x"', "a colon is missing"),
        ('{"log":{"entries":[{"request":}', "a value is missing"),
        ('{"log":{"entries":[{"x":[}', "a bracket closes another one than was opened"),
        ('{"log":{"entries":[],}}', "a name is missing"),
        ('{"log":{"entries":[]}} {"log":{}}', "something follows after its end"),
        ('{"log":{"version":"1.2"}}', "it has no log.entries"),
        ('{"log":null}', "it has no log.entries"),
        ('{"log":{"x":' + "[" * 1_000_000, "brackets are nested more than 10,000 deep"),
        ('{"log":{"x":' + '{"a":' * 1_000_000, "brackets are nested more than 10,000 deep"),
    ],
)
def test_what_is_no_har_says_why(tmp_path: Path, text: str, why: str) -> None:
    _, (error,), _ = read(written(tmp_path, text))
    assert error.why == why


def test_one_bad_entry_costs_no_other(tmp_path: Path) -> None:
    bad = {
        "its URL is longer than 32 KiB": "https://a.example/" + "x" * 1_000_000,
        "its URL is no web address": "nonsense",
        "its URL has no host that can be read": "http://[bad",
        "its URL has no host": "https://?x",
        "its URL holds a space, a control character or half a character": "https://a.example/\0",
    }
    entries = [entry(url) for url in bad.values()]
    strange: list[Any] = [
        {"request": {"url": 5}},
        {"request": None},
        {},
        7,
        {"request": {"url": AD}, "pageref": 3, "response": []},
    ]
    text = har(*entries, *strange)
    seen, errors, tally = read(written(tmp_path, text))
    assert [row.url for row in seen] == [AD]
    assert [error.why for error in errors] == [*bad, "its URL is no text", *["its URL is missing"] * 3]
    assert errors[0].what.endswith("entry 1 cannot be used")
    assert not any("xxx" in str(error) or "nonsense" in str(error) for error in errors)
    assert sum(tally.bad.values()) == len(errors)


def test_half_a_character_is_no_url(tmp_path: Path) -> None:
    text = har(entry("https://a.example/HERE"), entry(AD)).replace("HERE", "\\ud800")
    seen, (error,), _ = read(written(tmp_path, text))
    assert [row.url for row in seen] == [AD]
    assert error.why == "its URL is no text in UTF-8"


MEASURED = """
import resource, sys
from pathlib import Path
from gossip.filterlists.captures import read_capture
list(read_capture(Path(sys.argv[1])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = list(read_capture(Path(sys.argv[2])))
print(len(rows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_body_of_a_hundred_megabytes_is_never_in_memory(tmp_path: Path) -> None:
    """Nor one that is nothing but escapes, nor many headers. Linux counts the most that was ever in memory in KiB."""
    small = written(tmp_path, har(entry(AD)), "small.har")
    begin, end = har(entry(AD), entry(PAGE)).encode().split(b'a\\"[]{}\\\\', 1)
    big = tmp_path / "big.har"
    with big.open("wb") as file:
        file.write(begin)
        for piece in (b"x" * 1_000_000, b'\\"' * 500_000, b"[{" * 500_000):
            for _ in range(34):
                file.write(piece)
        file.write(end)
    assert big.stat().st_size > 100_000_000
    command = [sys.executable, "-c", MEASURED, str(small), str(big)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, kib = map(int, done.stdout.split())
    assert rows == 2
    assert kib < 16 * 1024


# ------------------------------------------------------------------ uBlock Origin's logger

LOG = (
    ("+12", "||ads.example^$third-party", "--", "news.example", "3", "GET", "script", AD),
    ("+9", "", "", "news.example", "1", "GET", "doc", PAGE),
    ("+9", "", "", "news.example", "1", "POST", "xhr", "https://news.example/a?b|c"),
    ("+8", "##.ad", "##", "news.example", "", "", "dom", PAGE),
    ("+8", "", "", "news.example", "3", "GET", "script", "https://tracker.example/t.js", "aliasURL=https://m.news.example/t.js"),
    ("+7", "", "", "news.example", "1", "", "inline-script", "https://news.example/{inline-script}"),
    ("+7", "", "", "", "", "GET", "image", "data:image/png;base64,AAAA"),
    ("+1", "uBlock0 has started", ""),
)  # fmt: skip


def _markdown_table() -> str:
    def cell(number: int, text: str) -> str:
        code = "`" if number == 1 or "https://" in text else ""
        return f" {code}{text.replace('|', chr(92) + '|')}{code} "

    lines = ["|".join(cell(*pair) for pair in enumerate(row)) for row in LOG if len(row) > 2]
    lines = [" |" * 8 + " ", ":--- |" * 8 + ":--- ", *lines]
    return "<details><summary>Logger output</summary>\n\n|" + "|\n|".join(lines) + "|\n</details>\n"


def _list(markdown: bool) -> str:
    records = ["\n".join(field for field in row if field) for row in LOG]
    if markdown:
        body = "\n```\n```\n".join(records)
        return f"<details><summary>Logger output</summary>\n\n```\n{body}\n```\n</details>\n"
    return "\n\n".join(records) + "\n"


def _table() -> str:
    return "\n".join("\t".join(row) for row in LOG) + "\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("text", [_table(), _markdown_table(), _list(markdown=False), _list(markdown=True)])
def test_what_the_logger_exports(tmp_path: Path, text: str, ends: str) -> None:
    seen, errors, tally = read(written(tmp_path, text.replace("\n", ends)))
    assert not errors
    assert [(row.url, row.type) for row in seen] == [
        (AD, "script"),
        (PAGE, "document"),
        ("https://news.example/a?b|c", "xmlhttprequest"),
        ("https://m.news.example/t.js", "script"),
    ]
    assert {row.page for row in seen} == {PAGE}
    assert {(row.label, row.time) for row in seen} == {(None, None)}
    assert tally.format == "uBlock Origin's logger"
    assert tally.left_out["data"] == 1
    assert tally.left_out["notes of uBlock that are no requests"] >= 2


def test_a_table_of_the_logger_before_it_knew_methods(tmp_path: Path) -> None:
    text = f"09:15:01\t||ads.example^\t--\tnews.example\t3\tscript\t{AD}\n09:15:01\t\t\tnews.example\t3\tcss\t{AD}\n"
    seen, errors, _ = read(written(tmp_path, text))
    assert not errors
    assert [(row.page, row.type) for row in seen] == [(PAGE, "script"), (PAGE, "stylesheet")]


# ------------------------------------------------------------------ JSON lines and URLs


def test_requests_as_json_lines(tmp_path: Path) -> None:
    lines = [
        {"url": AD, "page": PAGE, "type": "script", "label": "ad", "third_party": True, "more": [1]},
        {"url": AD, "documentUrl": PAGE, "type": "sub_frame", "timeStamp": 1767225600500},
        {"url": AD, "frameUrl": PAGE, "cpt": "xhr", "time": 1767225600.5},
        {"url": AD, "initiator": "null"},
    ]
    seen, errors, tally = read(written(tmp_path, "\r\n".join(map(json.dumps, lines))))
    assert not errors
    assert seen[0] == Sighting(AD, PAGE, "script", None, "ad", True)
    assert [(row.page, row.type, row.time) for row in seen[1:]] == [
        (PAGE, "subdocument", 1767225600.5), (PAGE, "xmlhttprequest", 1767225600.5), ("", "script", None),
    ]  # fmt: skip
    assert tally.pageless == 1


def test_bad_lines_are_named_and_the_others_used(tmp_path: Path) -> None:
    bad = [
        ('{"page":"https://a.example/"}', "it names no url"),
        ('{"url":7}', "its field url is of another kind"),
        ('{"url":"https://a.example/","label":"spam"}', "its field label is of another kind"),
        ("[" * 100_000, "it is no object"),
        ('{"x":' + "[" * 100_000, "it is no JSON object"),
        ("null", "it is no object"),
        ("{", "it is no JSON object"),
        ('{"url":"https://a.example/' + "x" * 1_000_000 + '"}', "it is longer than 128 KiB"),
        ('{"url":"https://a.example/' + "x" * 50_000 + '"}', "its URL is longer than 32 KiB"),
        ('{"url":"https://a.example/","page":"nonsense"}', "its page is no web address"),
    ]
    good = json.dumps({"url": AD, "page": PAGE})
    seen, errors, tally = read(written(tmp_path, "\n".join([good, *(line for line, _ in bad), "", good])))
    assert len(seen) == 2
    assert [(error.what.rpartition(": ")[2], error.why) for error in errors] == [
        (f"row {number} cannot be used", why) for number, (_, why) in enumerate(bad, 2)
    ]
    assert tally.bad["its URL is longer than 32 KiB"] == 1


def test_urls_as_people_paste_them(tmp_path: Path) -> None:
    text = (
        f"\ufeff# seen on Monday\r\n{AD}?a=1\r\n\r\n{PAGE}\thttps://b.example/f.WOFF2#x\r\nwww.example\r\na\tb\tc\r\n"
    )
    seen, errors, tally = read(written(tmp_path, text))
    assert [(row.url, row.page, row.type) for row in seen] == [
        (AD + "?a=1", "", "script"), ("https://b.example/f.WOFF2", PAGE, "font"),
    ]  # fmt: skip
    assert [error.why for error in errors] == ["its URL is no web address", "it has more than a page, a tab and a URL"]
    assert tally.format == "list of URLs"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://anna:geheim@a.example/x@y#token", "https://a.example/x@y"),
        ("https://a@b@a.example?q=c@d", "https://a.example?q=c@d"),
        ("https://a.example/x?mail=c@d", "https://a.example/x?mail=c@d"),
        ("https://a.example#@b.example/", "https://a.example"),
    ],
)
def test_names_passwords_and_fragments_are_not_kept(tmp_path: Path, url: str, kept: str) -> None:
    for text in (url, f"{url}\t{url}", json.dumps({"url": url, "page": url}), har(entry(url))):
        (row,), errors, _ = read(written(tmp_path, text))
        assert not errors
        assert row.url == kept
        assert row.page in (kept, "")


# ------------------------------------------------------------------ what is no capture


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"[Adblock Plus 2.0]\n! Title: x\n||ads.example^\n", "it begins as a filter list does"),
        (b"! Title: x\n||ads.example^\n", "it begins as a filter list does"),
        (b"# hosts\n# of mine\n127.0.0.1 ads.example\n", "it begins as a filter list does"),
        (b"##.ad\n", "it begins as a filter list does"),
        (b"<!doctype html><html>", "it begins as a web page does"),
        (b'[{"url":"https://a.example/"}]', "it is one JSON array"),
        (b"PK\x03\x04\0\0\0\0", "it is no text"),
        ('{"log":{}}'.encode("utf-16"), "it begins as UTF-16 does"),
        (b"\x1f\x8b\x08garbage", None),
    ],
)
def test_what_is_no_capture_is_told_what_it_is(tmp_path: Path, data: bytes, why: str | None) -> None:
    seen, (error,), _ = read(written(tmp_path, data))
    assert not seen
    assert error.next_step
    assert why is None or error.why == why


def test_only_a_file_that_cannot_be_opened_raises(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(LocalError, match="cannot be read"):
            list(read_capture(path))


@pytest.mark.parametrize("text", [har(entry(AD), pages=[]), json.dumps({"url": AD}), AD, _table()])
def test_a_packed_capture_reads_as_the_plain_one(tmp_path: Path, text: str) -> None:
    plain, packed = written(tmp_path, text, "a"), written(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode()), "b")
    behind: list[int] = []
    assert list(read_capture(plain, behind.append)) == list(read_capture(packed))
    assert behind[-1] == plain.stat().st_size
    assert behind == sorted(behind)


# ------------------------------------------------------------------ anything

_texts = st.text(max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts | st.just(AD),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["url", "x", 'a"\\']), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(
    entries=st.lists(st.tuples(_json, st.sampled_from(TYPES) | _texts), max_size=6),
    indent=st.sampled_from([None, 1]), escaped=st.booleans(), cut=st.floats(0, 1), piece=st.integers(1, 40),
)  # fmt: skip
def test_whatever_stands_around_it_an_entry_is_read_as_json_would(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[Any, str]], indent: int | None, escaped: bool,
    cut: float, piece: int,
) -> None:  # fmt: skip
    """However the pieces fall, that are read at a time; and cut anywhere it gives a beginning of the same rows."""
    made = [{"a": junk, "request": {"b": junk, "url": f"https://a.example/{i}"}, "_resourceType": kind, "c": junk}
            for i, (junk, kind) in enumerate(entries)]  # fmt: skip
    text = json.dumps(
        {"log": {"x": [junk for junk, _ in entries], "entries": made}}, indent=indent, ensure_ascii=escaped
    )
    data = text.encode("utf-8", "surrogatepass")
    folder = tmp_path_factory.mktemp("har")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gossip.filterlists.skim.PIECE_BYTES", piece)
        seen, errors, _ = read(written(folder, data))
        part, broken, _ = read(written(folder, data[: max(12, int(len(data) * cut))]))
    assert not errors
    assert [row.url for row in seen] == [f"https://a.example/{i}" for i in range(len(entries))]
    assert part == seen[: len(part)]
    assert len(broken) <= 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://" + "a." * 200 + "example/", "its URL has a host of more than 255 characters"),
        ("https://ads.example:8443s3cr3t/", "its URL has no host that can be read"),
    ],
)
def test_a_host_that_no_browser_could_ask_is_a_row_that_cannot_be_used(tmp_path: Path, url: str, why: str) -> None:
    path = tmp_path / "urls.txt"
    path.write_text(f"https://ads.example:8443/x.js\n{url}\n")
    good, bad = read_capture(path)
    assert isinstance(good, Sighting)
    assert isinstance(bad, LocalError)
    assert bad.why == why
    assert "s3cr3t" not in str(bad)
