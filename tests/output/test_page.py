"""bncli report: one page, valid, whole in itself, and nothing in it that a result could have put there but text."""

import base64
import hashlib
import itertools
import json
import math
import re
import sys
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import command_line
from bncli.comparison import saved
from bncli.core.report import Column, Kind, Report
from bncli.output.page import html, sections

html5lib = pytest.importorskip("html5lib", reason="pages are checked by html5lib")
pytest.importorskip("jinja2", reason="a page needs the extra report")

NAMES = ("bench", "gradcheck", "verify", "curve", "selftest", "compare")
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></svg>",
    "{{ 7 * 7 }}",
    "'; x=\"",
    "&amp;",
]
HTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def run(*args, code=0):
    return command_line.run("report", *args, code=code)


def parsed(text):
    """The tree of a page; raises where it is not valid."""
    return html5lib.HTMLParser(strict=True).parse(text)


def said(element):
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def page(saved_results, tmp_path):
    """page("bench", …) is the text of the page of these results."""

    def make(*names):
        run(*(saved_results[name] for name in names), "--output", "out.html")
        return (tmp_path / "out.html").read_text(encoding="utf-8")

    return make


@pytest.mark.parametrize("names", [*((name,) for name in NAMES), NAMES, ("bench", "bench")])
def test_a_page_of_any_results_is_valid_html(page, names):
    tree = parsed(page(*names))
    assert tree.find(f".//{HTML}h1") is not None
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len({*ids})
    links = [element.get("href") for element in tree.iter(f"{HTML}a")]
    assert {link.removeprefix("#") for link in links} <= {*ids}


def test_headings_and_tables_are_what_a_screen_reader_follows(page):
    tree = parsed(page(*NAMES))
    levels = [int(e.tag[-1]) for e in tree.iter() if re.fullmatch(rf"{re.escape(HTML)}h\d", str(e.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for table in tree.iter(f"{HTML}table"):
        assert said(table.find(f"{HTML}caption"))
        assert {e.get("scope") for e in table.find(f"{HTML}thead").iter(f"{HTML}th")} == {"col"}
        for row in table.find(f"{HTML}tbody"):
            assert [cell.tag for cell in row].count(f"{HTML}th") == 1
            assert row[0].get("scope") == "row"


def test_a_page_has_all_figures_of_its_result(page, saved_results):
    report = saved.load(saved_results["bench"])
    [table, _] = parsed(page("bench")).iter(f"{HTML}table")
    rows = [[said(cell) for cell in row] for row in table.find(f"{HTML}tbody")]
    assert len(rows) == len(report.rows)
    values = [float(e.get("data-value")) for e in table.iter(f"{HTML}td") if e.get("data-value")]
    assert {row["median"] for row in report.rows} <= {*values}
    assert [row[0] for row in rows] == [row["problem"].partition("/")[0] for row in report.rows]
    assert "per-activation/float64/eps=1e-08" in said(table.find(f"{HTML}caption"))


def test_every_point_of_a_chart_says_its_figures(page):
    points = [e for e in parsed(page(*NAMES)).iter(f"{SVG}g") if "point" in (e.get("class") or "")]
    assert len(points) > 30
    assert all(point.get("aria-label") == point.find(f"{SVG}title").text for point in points)
    assert any("numpy forward 8x6" in point.get("aria-label") for point in points)


def test_what_failed_and_how_to_see_it_again_is_on_the_page(page):
    text = said(parsed(page("gradcheck")))
    assert "numpynet: dx is WRONG" in text
    assert "bncli gradcheck --kernel numpynet --shape 5x4x3/per-activation" in text
    assert "where 5 samples were averaged" in text


def test_two_benchmarks_are_compared_and_others_are_not(page):
    assert "New against old" in page("bench", "gradcheck", "bench")
    assert "New against old" not in page("bench", "gradcheck")
    assert "New against old" not in page("bench", "bench", "bench")


def test_two_environments_stand_side_by_side(saved_results, tmp_path):
    document = json.loads(saved_results["curve"].read_text(encoding="utf-8"))
    document["environment"]["cpu"] = "another <cpu>"
    (tmp_path / "new.json").write_text(json.dumps(document), encoding="utf-8")
    run(saved_results["curve"], "new.json", "--output", "out.html")
    *_, table = parsed((tmp_path / "out.html").read_text(encoding="utf-8")).iter(f"{HTML}table")
    assert [said(e) for e in table.find(f"{HTML}thead").iter(f"{HTML}th")] == ["what", "curve.json", "new.json"]
    facts = {said(row[0]): [said(cell) for cell in row[1:]] for row in table.find(f"{HTML}tbody")}
    assert facts["cpu differs"][1] == "another <cpu>"
    assert len({*facts["python"]}) == 1


def test_a_page_names_nothing_that_would_be_fetched_and_runs_only_its_own(page):
    text = page(*NAMES)
    tree = parsed(text)
    assert not {"link", "img", "iframe", "object", "embed", "base", "image", "use"} & {
        str(element.tag).rpartition("}")[2] for element in tree.iter()
    }
    assert not [e for e in tree.iter() if {"src", "style", "srcset", "action"} & {*e.attrib}]
    assert not re.search(r"url\(|@import|https?:", text)
    [policy] = [e.get("content") for e in tree.iter(f"{HTML}meta") if e.get("http-equiv")]
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        [element] = tree.iter(HTML + tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_result_becomes_markup(saved_results, tmp_path, name):
    """Every text of a result is replaced; the page has the same elements, and the texts in it as they are."""

    def poisoned(value, key=""):
        if isinstance(value, dict):
            return {k: poisoned(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poisoned(each, key) for each in value]
        kept = key in ("command", "kind", "key", "verdict") or not isinstance(value, str)
        return value if kept or not value else HOSTILE[len(value) % len(HOSTILE)] + value

    document = json.loads(saved_results[name].read_text(encoding="utf-8"))
    files = {"plain.json": document, f"{HOSTILE[0].replace('/', '')}.json": poisoned(document)}
    found = []
    for file, content in files.items():
        (tmp_path / file).write_text(json.dumps(content), encoding="utf-8")
        run(file, "--output", "out.html")
        found.append(parsed((tmp_path / "out.html").read_text(encoding="utf-8")))
    plain, hostile = ([str(element.tag).rpartition("}")[2] for element in tree.iter()] for tree in found)
    assert {*hostile} == {*plain}
    assert hostile.count("script") == hostile.count("style") == 1
    assert not [a for e in found[1].iter() for a in e.attrib if a.startswith("on")]
    assert said(found[1].find(f".//{HTML}h2/{HTML}small")) == "<script>alert(1)<script>.json"
    assert sum(text in said(found[1]) for text in HOSTILE) > 2


def test_what_no_file_can_hold_is_made_visible(tmp_path):
    report = Report("info", (Column("a", "a\x00"),), [{"a": "x\ud800\x1b[31m"}], environment={"b": ["\ud800"]})
    text = html.page([("name\x07", report)])
    text.encode()
    assert "x\\ud800\\x1b[31m" in text
    parsed(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "is not JSON"),
        ("[]", "is not a report of bncli"),
        ('{"schema": 99, "rows": []}', "is of schema 99"),
        ('{"schema": 1, "rows": [], "command": 5}', "is damaged"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_and_nothing_is_written(saved_results, tmp_path, content, message):
    (tmp_path / "wrong.json").write_text(content, encoding="utf-8")
    (tmp_path / "out.html").write_text("old")
    result = run(saved_results["verify"], "wrong.json", "--output", "out.html", code=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / "out.html").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.html", "wrong.json"]


def test_of_two_benchmarks_that_which_cannot_be_compared_is_named(saved_results, tmp_path):
    document = json.loads(saved_results["bench"].read_text(encoding="utf-8"))
    document["rows"][1]["samples"] = "abc"
    (tmp_path / "b.json").write_text(json.dumps(document), encoding="utf-8")
    message = "bncli: error: 'b.json' is damaged: row 2: Expected `array`, got `str` - at `figures.samples`\n"
    for results in ((saved_results["bench"], "b.json"), ("b.json", saved_results["bench"])):
        assert run(*results, code=2).stderr == message


def test_a_result_is_not_overwritten_by_its_page(saved_results):
    assert "let it end in .html" in run(saved_results["verify"], "--output", saved_results["verify"], code=2).stderr


def test_without_jinja2_the_extra_is_named(saved_results, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = run(saved_results["verify"], code=2)
    assert result.stderr == "bncli: error: a page needs the package Jinja2: pip install 'bncli[report]'\n"


def test_files_of_one_name_are_distinguished_by_their_folders(saved_results, tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_bytes(saved_results["verify"].read_bytes())
    run("old/a.json", "new/a.json")
    assert "<title>bncli report: old/a.json, new/a.json</title>" in (tmp_path / "report.html").read_text(
        encoding="utf-8"
    )


def test_a_table_says_once_what_all_rows_share():
    columns = (Column("kernel", "kernel"), Column("median", "median", "seconds"), Column("empty", "empty"))
    row = {"kernel": "numpy", "input": "--seed 0", "median": 1e-3}
    table = sections.table(Report("bench", columns, [row | {"problem": f"{n}x3/float32"} for n in (4, 8)]))
    assert list(table.caption) == ["--seed 0", "float32"]
    assert [column.title for column in table.columns] == ["problem", "kernel", "median"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["4x3", "numpy", "1.00 ms"],
        ["8x3", "numpy", "1.00 ms"],
    ]
    assert table.rows[0][2].value == "0.001"


def test_a_script_can_sort_what_is_no_ordinary_number():
    values = [math.inf, -math.inf, math.nan, None, True, 10**20]
    report = Report("bench", [Column("a", "a", "number")], [{"a": value} for value in values])
    found = [row[0].value for row in sections.table(report).rows]
    assert found == ["Infinity", "-Infinity", None, None, None, "100000000000000000000"]


def test_a_ratio_is_sorted_by_its_value_and_what_is_none_is_text():
    values = [[2.0, 1.9, 3.0], [2.0], 2.0, ["a", "b", "c"], None]
    report = Report("bench", [Column("a", "a", "ratio")], [{"a": value} for value in values])
    found = [row[0] for row in sections.table(report).rows]
    assert [cell.value for cell in found] == ["2.0", None, "2.0", None, None]
    assert found[0].text.startswith("2.00× ")
    assert found[3].text == "(a, b, c)"


def test_a_result_without_rows_is_a_page(tmp_path):
    parsed(html.page([("empty.json", Report("bench", (), []))]))


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.floats() | st.integers(-(10**300), 10**300),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = ("kernel", "problem", "verdict", "note", "reproduce", "rerun", "median", "speedup", "group", "")


@example("bench", [Column("kernel", "", "histogram")], [{"kernel": what} for what in (0.0, [-1], ["a"], [1.5])], {})
@given(
    st.sampled_from(["bench", "gradcheck", "verify", "selftest", "compare", "what"]),
    st.lists(st.builds(Column, st.sampled_from(KEYS), st.text(max_size=4), st.sampled_from(get_args(Kind)))),
    st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=3),
    st.dictionaries(st.sampled_from(["cpu", "memory", "x"]), VALUES | st.dictionaries(st.text(max_size=2), VALUES)),
)
def test_any_text_of_a_file_makes_a_valid_page(command, columns, rows, environment):
    parsed(html.page([("a", Report(command, columns, rows, environment=environment))]))
