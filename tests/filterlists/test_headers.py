"""Lists say what they are in many ways; what cannot be told is left empty, and nothing in a list is an error."""

from __future__ import annotations

import gzip
import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.filterlists.headers import (
    MAX_HEADER_BYTES,
    MAX_WORD_CHARS,
    ListHeader,
    is_list,
    iso_date,
    read_header,
    require_list,
    source_of,
)
from gossip.filterlists.licences import spdx
from gossip.training.licence import check_licence
from ledger.errors import LocalError

EASY = """[Adblock Plus 2.0]
! Version: 202608130520
! Title: EasyFields
! Last modified: 13 Aug 2026 05:20 UTC
! Expires: 4 days (update frequency)
! *** easyfields:template_header.txt ***
!
! Homepage: https://easyfields.example/
! Licence: https://easylist.to/pages/licence.html
! GitHub issues: https://github.com/easyfields/easyfields/issues
!
&rb=&uuid=$third-party
! Licence: MIT
"""
UBLOCK = """! Title: uFields \u2013 Privacy
! Last modified: %timestamp%
! Expires: 7 days
! Description: |
!   Some of these filters: see below.
! License: https://github.com/uBlockOrigin/uAssets/blob/master/LICENSE
! Homepage: https://github.com/uBlockOrigin/uAssets
"""
ADGUARD = """! Checksum: 2mL0
! Title: Guarded Base filter
! Version: 2.3.48.1
! TimeUpdated: 2026-01-22T11:32:00+00:00
! License: GPLv3
"""
LOWE = """[Adblock Plus 1.1]
!Blocklist for use with a blocker
!Last modified: Wed, 29 May 2024 22:00:25 GMT
!Homepage:      https://lowe.example/servers/
!This URL:      https://lowe.example/servers/list.php?a=1&b=2
!Policy:        https://lowe.example/policy.php
||one.example^
"""
HOSTS = """# Title: Hosts of somebody
# Date: 5 January 2026 (UTC)
# License: the MIT license
127.0.0.1 localhost
"""


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (
            EASY,
            ListHeader(
                title="EasyFields", version="202608130520", modified="2026-08-13", homepage="https://easyfields.example/",
                licence="GPL-3.0-or-later OR CC-BY-SA-3.0+", licence_said="https://easylist.to/pages/licence.html",
                expires="4 days (update frequency)", dialect="Adblock Plus 2.0",
            ),
        ),
        (
            UBLOCK,
            ListHeader(
                title="uFields \u2013 Privacy", licence="GPL-3.0-only",
                homepage="https://github.com/uBlockOrigin/uAssets",
                licence_said="https://github.com/uBlockOrigin/uAssets/blob/master/LICENSE", expires="7 days",
            ),
        ),
        (
            ADGUARD,
            ListHeader(
                title="Guarded Base filter", version="2.3.48.1", modified="2026-01-22", licence="GPL-3.0-only",
                licence_said="GPLv3",
            ),
        ),
        (
            LOWE,
            ListHeader(
                modified="2024-05-29", homepage="https://lowe.example/servers/", dialect="Adblock Plus 1.1",
                url="https://lowe.example/servers/list.php?a=1&b=2",
            ),
        ),
        (
            HOSTS,
            ListHeader(
                title="Hosts of somebody", modified="2026-01-05", licence="MIT", licence_said="the MIT license"
            ),
        ),
    ],
    ids=["easylist", "ublock", "adguard", "lowe", "hosts"],
)  # fmt: skip
def test_lists_of_every_house_are_understood(tmp_path: Path, text: str, header: ListHeader) -> None:
    assert read_header(put(tmp_path / "list.txt", text)) == header
    assert read_header(put(tmp_path / "list.gz", gzip.compress(text.encode()))) == header
    assert read_header(put(tmp_path / "windows.txt", "\ufeff" + text.replace("\n", "\r\n"))) == header
    assert is_list(tmp_path / "list.txt")


def test_a_source_is_what_the_list_says_and_what_the_file_is(tmp_path: Path) -> None:
    path = put(tmp_path / "easy.txt", EASY)
    os.utime(path, (1_786_600_000, 1_786_600_000))
    source = source_of(path)
    assert source.sha256 == sha256(EASY.encode()).hexdigest()
    assert (source.name, source.version, source.retrieved) == ("EasyFields", "202608130520", "2026-08-13")
    assert (source.licence, source.url) == ("GPL-3.0-or-later OR CC-BY-SA-3.0+", "https://easyfields.example/")
    nameless = source_of(put(tmp_path / "serverlist.txt", LOWE))
    assert (nameless.name, nameless.version, nameless.licence) == ("serverlist.txt", "2024-05-29", "")
    assert nameless.url.endswith("?a=1&b=2")


def test_what_stands_below_the_first_rule_is_nobodys_header(tmp_path: Path) -> None:
    assert read_header(put(tmp_path / "list.txt", "||a.example^\n! Title: Not mine\n")) == ListHeader()
    for rule in ("##.banner", "#@#.banner", "#?#div", "#$#abort", "#%#js"):
        assert read_header(put(tmp_path / "list.txt", f"{rule}\n! Title: Not mine\n")) == ListHeader(), rule


def test_a_header_is_read_so_far_and_no_further(tmp_path: Path) -> None:
    long = "! Title: " + "x" * 100_000 + "\n! Version: 7\n"
    header = read_header(put(tmp_path / "list.txt", long))
    assert header.title == "x" * MAX_WORD_CHARS
    assert header.version == "7"
    endless = "! nothing\n" * (MAX_HEADER_BYTES // 5) + "! Version: 7\n"
    assert read_header(put(tmp_path / "list.txt", endless)) == ListHeader()


def test_control_characters_do_not_get_into_the_ledger(tmp_path: Path) -> None:
    header = read_header(put(tmp_path / "list.txt", b"! Title: a\x1b[2Jb\x00c\xe2\x80\xae d\xff\n"))
    assert header.title.isprintable()
    assert "\u202e" not in header.title


@given(st.binary(max_size=600))
def test_no_bytes_are_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.txt"
    path.write_bytes(b"! Licence: " + data + b"\n! Last modified: " + data)
    source = source_of(path)
    assert all(
        len(value) <= MAX_WORD_CHARS and value.isprintable() for value in (source.name, source.version, source.url)
    )
    check_licence(source.licence)
    is_list(path)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    comments = "".join(f"! {os.urandom(40).hex()}\n" for _ in range(100)).encode()
    for path in (tmp_path / "none.txt", tmp_path, put(tmp_path / "cut.gz", gzip.compress(comments)[:2_000])):
        with pytest.raises(LocalError) as caught:
            read_header(path)
        assert caught.value.next_step
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ("GPLv3", "GPL-3.0-only"), ("GPL v3 or later", "GPL-3.0-or-later"), ("GPL-3.0-or-later", "GPL-3.0-or-later"),
        ("GPLv2+", "GPL-2.0-or-later"), ("GNU General Public License v3.0", "GPL-3.0-only"),
        ("GPL version 3 or any later version", "GPL-3.0-or-later"), ("LGPL-2.1", "LGPL-2.1-only"),
        ("https://www.gnu.org/licenses/gpl-3.0.en.html", "GPL-3.0-only"),
        ("GNU Affero General Public License version 3", "AGPL-3.0-only"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"), ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution-ShareAlike 3.0 Unported", "CC-BY-SA-3.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution 3.0 License", "CC-BY-3.0"), ("CC0", "CC0-1.0"), ("MIT", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"), ("MPL 2.0", "MPL-2.0"), ("Unlicense", "Unlicense"),
        ("CC BY-SA 3.0 or GPLv3", "CC-BY-SA-3.0 OR GPL-3.0-only"),
        ("https://github.com/AdguardTeam/AdguardFilters/blob/master/LICENSE", "GPL-3.0-only"),
        # what cannot be told for certain
        ("", ""), ("GPL", ""), ("GPLv35", ""), ("see the file", ""), ("GNU GPL v3 and MPL 2.0", ""), ("unlicensed", ""),
        ("mit Namensnennung", ""), ("CC BY-ND-SA 4.0", ""), ("https://lowe.example/policy.php", ""),
    ],
)  # fmt: skip
def test_licences_become_spdx_or_nothing(said: str, licence: str) -> None:
    assert spdx(said) == licence
    check_licence(licence)


def test_dates_are_days_or_nothing() -> None:
    assert iso_date("Tue, 05 Aug 2025 12:00:00 +0000") == "2025-08-05"
    assert iso_date("2025-02-30") == iso_date("31 Foo 2025") == iso_date("202608130520") == iso_date("") == ""


@pytest.mark.shared
def test_real_lists_say_what_they_are(shared_data: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(shared_data / "lists-2025-05-30_2026-08-14.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    lists = sorted((tmp_path / "lists").glob("*/*.txt"))
    assert len(lists) == 12
    assert all(is_list(path) for path in lists)
    sources = {f"{path.parent.name[-10:]} {path.name}": source_of(path) for path in lists}
    easy = sources["2026-08-14 easylist__easylist.txt"]
    assert (easy.name, easy.version) == ("EasyList", "202608130520")
    assert easy.licence == "GPL-3.0-or-later OR CC-BY-SA-3.0+"
    assert {source.licence for source in sources.values()} == {easy.licence, "GPL-3.0-only", ""}
    assert sources["2026-08-14 peter-lowe__serverlist.txt"].version == "2024-05-29"


@pytest.mark.parametrize(
    ("begins", "why"),
    [
        (b"", "it is empty"), (b"\n \n", "it is empty"), (b'{"page": "https://a.example/"}\n', "as data do"),
        (b"<!DOCTYPE html>\n", "as a web page does"), (b"\x89PNG\r\n\xff\n", "it is no text"),
        (b"Dear list maintainers\n", "neither a comment nor a rule"), (b"a,b,label\n", "neither a comment nor a rule"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused_with_the_reason(tmp_path: Path, begins: bytes, why: str) -> None:
    (tmp_path / "list.txt").write_bytes(begins)
    with pytest.raises(LocalError, match=why):
        require_list(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "begins", ["! Title: x", "[Adblock Plus 2.0]", "/banner/*", "||a.example^", "ads.example", "-ad$image,third-party",
    "0.0.0.0 a.example", "# hosts", "a.example##.ad", "@@||b.example^", "\ufeff! Title: x"],
)  # fmt: skip
def test_what_may_be_a_list_is_taken(tmp_path: Path, begins: str) -> None:
    (tmp_path / "list.txt").write_text(f"\n{begins}\n")
    require_list(tmp_path / "list.txt")
