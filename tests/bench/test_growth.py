"""The picture of what a member costs is of the figures that it was given."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from cli.bench.figures import Figure, Section, rows_of
from cli.bench.growth import drawn, fitted, points_of
from ledger.errors import LocalError

SVG = "{http://www.w3.org/2000/svg}"


def measured(*rows: tuple[int, float]) -> str:
    figures = tuple(Figure(f"{members:,} members: a peer that is up, a minute", cost, "ms") for members, cost in rows)
    return json.dumps({"figures": rows_of([Section("scale", (*figures, Figure("  for each update", 3.0, "us")))])})


def test_the_picture_has_a_point_for_each_size_higher_where_it_costs_more_and_the_formula() -> None:
    points = points_of(measured((10, 300.0), (100, 390.0), (1_000, 1_290.0)))
    assert points == [(10.0, 300.0), (100.0, 390.0), (1_000.0, 1_290.0)]
    assert fitted(points) == pytest.approx((290.0, 1.0))
    picture = ElementTree.fromstring(drawn(points))
    circles = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in picture.iter(f"{SVG}circle")]
    assert len(circles) == 3
    assert circles == sorted(circles)
    assert [y for _, y in circles] == sorted((y for _, y in circles), reverse=True)
    told = [one.text for one in picture.iter(f"{SVG}text")]
    assert any(text and text.endswith("= 290 + 1.00 x members".replace("= ", "=  ")) for text in told)
    assert {"10", "100", "1,000", "300", "1290"} <= set(told)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"figures": [{}]}', measured((10, 1.0))])
def test_what_is_no_measurement_of_growth_is_said_to_be_none(text: str) -> None:
    with pytest.raises(LocalError, match=r"bench|growth"):
        points_of(text)
