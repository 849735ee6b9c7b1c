"""The tables, the picture and the README's table, from a run that was made up."""

from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from bench.cases import BY_NAME
from bench.faults import BenchError
from bench.record import Problem, Record, encode
from bench.report import number
from bench.svg import draw
from bench.targets import Verdict, judge
from bench.write import is_whole
from rich.console import Console
from tests.bench.records import books, record, sample

from bench import readme, report


def shown(run: Record) -> str:
    out = StringIO()
    report.show(run, Console(file=out, width=200))
    return out.getvalue()


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if name in line)


def test_ratios_are_over_the_proxy_and_the_best_peer():
    cells = row(shown(record()), "the halley-sqlite")
    assert "9,500 /s" in cells
    assert "0.25 x" in cells
    assert "2.00 x" in cells


def test_the_best_peer_is_the_one_with_the_most_calls():
    run = record(sample("litellm", 1, per_second_64=90.0))
    assert report.best_peer(run, "chat") == "tensorzero"


def test_the_best_peer_of_streams_is_the_one_that_takes_least():
    run = record(sample("litellm", 1, case="sse", cpu_us=1_200), sample("portkey", 1, case="sse", cpu_us=190))
    assert report.best_peer(run, "sse") == "portkey"
    found = report.better(run, "sse", "litellm", "portkey")
    assert found is not None
    assert found.median == pytest.approx(190 / 1_200)


def test_a_run_with_an_error_of_ours_is_not_good():
    assert report.is_good(record(books=(books(),)))
    assert not report.is_good(record(sample("halley-sqlite", 3, errors=1)))
    assert not report.is_good(record(books=(books(rows=99),)))
    assert not report.is_good(record(problems=(Problem(case="chat", system="halley-sqlite", words="it ended"),)))


def test_a_peer_that_cannot_be_had_is_told_and_is_no_failure():
    run = record(problems=(Problem(case="", system="portkey", words="npm is not there"),))
    assert report.is_good(run)
    assert "not measured: the portkey: npm is not there" in shown(run)


def test_books_that_miss_a_row_are_told():
    assert "NOT WHOLE" in shown(record(books=(books(rows=99),)))


def test_targets_are_judged_in_two_steps():
    verdicts = {each.target.what: each.verdict for each in judge(record())}
    assert verdicts["calls a second"] is Verdict.FIRST
    assert verdicts["times nginx"] is Verdict.GOAL
    assert verdicts["times TensorZero"] is Verdict.GOAL
    assert verdicts["added p50, one connection"] is Verdict.GOAL
    assert "times LiteLLM" not in verdicts


def test_fewer_streams_than_asked_are_not_judged():
    few = record(sample("halley-sqlite", 1, case="idle-streams", streams=200, memory_mb=80, errors=0))
    assert "memory with 5,000 streams" not in {each.target.what for each in judge(few)}


@pytest.mark.parametrize(
    ("value", "expected"), [(12_345.6, "12,346"), (99.96, "100.0"), (12.34, "12.3"), (0.256, "0.26"), (0, "0.00")]
)
def test_numbers_have_as_many_digits_as_say_something(value: float, expected: str):
    assert number(value) == expected


def test_the_picture_is_xml_with_a_bar_for_each_system():
    root = ET.fromstring(draw(record()))  # noqa: S314 - it is our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}rect")) == 3
    widths = [float(bar.attrib["width"]) for bar in root.findall(f"{space}rect")]
    assert widths == sorted(widths)


def test_the_picture_of_nothing_is_still_xml():
    empty = Record(date="", commit="", machine={}, options={}, systems=(), samples=(), books=(), problems=())
    ET.fromstring(draw(empty))  # noqa: S314 - it is our own


def test_the_readme_shows_the_newest_result_between_its_marks(tmp_path: Path):
    (tmp_path / "2026-11-23-abcdef0123.json").write_bytes(encode(record()))
    page = tmp_path / "README.md"
    page.write_text(f"before\n{readme.BEGIN}\nLAST ONE\n{readme.END}\nafter\n")
    stem, run = readme.newest(tmp_path)
    for _ in range(2):
        readme.write(page, readme.table(run, stem))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "LAST ONE" not in text
    assert "| **the halley-sqlite 1.0** | 9,500 |" in text
    assert text.count(readme.BEGIN) == 1


def test_a_readme_without_marks_is_not_touched(tmp_path: Path):
    page = tmp_path / "README.md"
    page.write_text("nothing\n")
    with pytest.raises(BenchError, match="has no"):
        readme.write(page, "table")
    assert page.read_text() == "nothing\n"


@pytest.mark.parametrize(
    ("changed", "whole"),
    [({}, True), ({"quick": True}, False), ({"systems": ["nginx"]}, False), ({"against": "HEAD"}, False)],
    ids=["all of it", "quick", "some systems", "another commit"],
)
def test_only_a_whole_run_is_kept_for_readers(changed: dict[str, object], *, whole: bool):
    options = {"quick": False, "systems": [], "against": None, "cases": list(BY_NAME), **changed}
    assert is_whole(msgspec.structs.replace(record(), options=options)) is whole
    assert not is_whole(msgspec.structs.replace(record(), options=options | {"cases": ["chat"]}))
