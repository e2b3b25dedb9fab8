from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from burnish.report import Buffer, Layer, Memory, PassRun, Port, Report, Sizes
from burnish.report.data import total
from burnish.report.html import plan_picture

HOSTILE = "<script>alert('x')</script>[bold]\n*/"


def make_report(name: str = "net", macs: int | str = 1200) -> Report:
    layer = Layer(name, "conv", (name, "other"), ("f32[1, 8]",), macs, 10, 4096, 100, 400)
    memory = Memory(
        arena=64, inputs=16, outputs=8, peak=48, lower_bound=64, peak_step=1,
        live_at_peak=(name,), steps=3,
        buffers=(Buffer(name, 0, 32, 0, 1), Buffer("b", 32, 16, 1, 2)),
    )  # fmt: skip
    return Report(
        model=name, target="c", version="0", pipeline="fold,dce", inputs=(Port(name, "f32[1]"),),
        outputs=(Port("y", "f32[1]"),), layers=(layer, layer),
        passes=(PassRun("fold", 0.25, 5, 4, {"rule": 2}),), memory=memory,
        sizes=Sizes(400, 1000, {"net.c": 99}),
    )  # fmt: skip


def test_totals() -> None:
    report = make_report()
    assert report.macs == 2400
    assert report.parameters == 200
    assert report.memory is not None
    assert report.memory.ram == 88
    assert report.sizes.flash == 1400


def test_totals_of_symbolic_counts() -> None:
    assert total([1, "2*n", 3]) == "2*n + 4"
    assert total(["n"]) == "n"
    assert total([]) == 0


@pytest.mark.parametrize("macs", [1200, "3*seq"])
def test_json_round_trip(macs: int | str) -> None:
    report = make_report(macs=macs)
    again = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again == report


def test_json_without_timing_is_reproducible() -> None:
    data = make_report().to_dict(timing=False)
    assert data["passes"][0]["seconds"] == 0
    assert data["totals"] == {"macs": 2400, "parameters": 200}


@pytest.mark.parametrize("data", [{}, {"model": 1}, {"surprise": 2}])
def test_what_is_no_report_is_refused(data: dict[str, object]) -> None:
    with pytest.raises((TypeError, KeyError, ValueError)):
        Report.from_dict(data)


def test_text() -> None:
    text = make_report().text()
    for part in ("net", "2.4 k", "88 B", "1.367 KiB", "fold", "rule 2", "250.0"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_numbers_are_never_cut() -> None:
    text = make_report("StatefulPartitionedCall/" * 5, 123_456_789).text(80)
    assert text.count("123.5 M") == 2
    assert text.count("4 KiB") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_text_shows_hostile_names_as_they_are() -> None:
    text = make_report(HOSTILE).text(200)
    assert "[bold]" in text
    assert "\\n*/" in text


def test_html_is_self_contained_and_escaped() -> None:
    page = make_report(HOSTILE).html()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'" in page
    assert "0.25" not in page


def test_the_plans_picture_shows_every_buffer() -> None:
    memory = make_report().memory
    assert memory is not None
    picture = ElementTree.fromstring(plan_picture(memory))
    boxes = [r for r in picture if r.tag.endswith("rect") and len(r)]
    assert [box[0].text for box in boxes] == [
        "net: 32 B at 0, steps 0 to 1",
        "b: 16 B at 32, steps 1 to 2",
    ]
    assert float(boxes[0].get("height", 0)) == pytest.approx(180)


def test_an_empty_plan_has_a_picture() -> None:
    memory = Memory(0, 0, 0, 0, 0, 0, (), 0, ())
    assert plan_picture(memory).startswith("<svg")
