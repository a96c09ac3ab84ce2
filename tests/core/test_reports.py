"""How values, reports and files look: units, tables, exporters."""

import csv
import dataclasses
import io
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bncli import files, plugins
from bncli.core import units
from bncli.core.report import Column, Report
from bncli.errors import InputError
from bncli.output.terminal import tables

COLUMNS = (
    Column("kernel", "kernel"),
    Column("verdict", "verdict", "verdict"),
    Column("median", "median", "seconds"),
    Column("error", "a rather long title of a wide column", "error", wide=True),
    Column("summary", "summary", "prose"),
    Column("note", "note", "note"),
)
ROWS = (
    {"p": "one", "kernel": "numpy", "verdict": "PASS", "median": 1.5e-3, "error": 1e-16, "summary": "", "note": ""},
    {
        "p": "one", "kernel": "numba|x", "verdict": "WRONG", "median": None, "error": math.nan,
        "summary": "many words " * 12, "note": "numba: dx is wrong", "samples": [1.0, 2.0],
    },
    {"p": "two", "kernel": "[red]", "verdict": "PASS", "median": 2e-6, "error": 0.0, "summary": "", "note": ""},
)  # fmt: skip
REPORT = Report("bench", COLUMNS, ROWS, ("p",), {"numpy": "2"}, ["beware"])


def shown(width, report=REPORT):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    tables.show(report, console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "number", "–"),
        ("", "text", "–"),
        (True, "text", "yes"),
        (1.234e-3, "seconds", "1.23 ms"),
        (12.34e-6, "seconds", "12.3 µs"),
        (75.6, "seconds", "75.6 s"),
        (3e-11, "seconds", "0.0300 ns"),
        (0.0, "seconds", "0 ns"),
        (123456, "seconds", "123456 s"),
        (1536, "bytes", "1.50 KiB"),
        (12.345e9, "bytes/s", "12.3"),
        (2.0, "times", "2.00×"),
        (0.1234, "percent", "12.3 %"),
        (15.65, "digits", "15.7"),
        (2.2e-16, "error", "2.2e-16"),
        (0.0346, "error", "0.035"),
        (0.50032, "number", "0.5003"),
        (-1.99999, "number", "-2.000"),
        (12345.6, "number", "12346"),
        (1234567.0, "number", "1.23e6"),
        (math.nan, "seconds", "nan"),
        (-math.inf, "number", "-inf"),
        (150000, "count", "150,000"),
        ((0, 3012, 2), "text", "(0, 3012, 2)"),
        ("a\x1b[31mb\n", "text", "a\\x1b[31mb\\n"),
        ((2.5, 2.4, 2.7), "ratio", "2.50× ±0.20"),
        ((23.25, 23.0, 24.5), "ratio", "23.2× ±1.2"),
        ((0.0001234, 0.0001, 0.0002), "ratio", "1.2e-4×"),
        ((2.5, 2.5, 2.5), "ratio", "2.50×"),
        ((0.998, 0.99, 1.01), "ratio", "0.998× ±0.012"),
        ((78.2, 0.914, 292.0), "ratio", "0.91–292×"),
        ((2.0, 1.0, 2.0), "ratio", "2.00× ±1.00"),
        ((2.0, 1.0, 2.01), "ratio", "1.0–2.0×"),
        ((2.0, 1.0, 2.01), "times", "1.0–2.0×"),
        ((2.0, 1.5, 2.01), "times", "2.00×"),
        ((1e-3, 0.9e-3, 1.1e-3), "seconds", "1.00 ms"),
        ((1e-3, 1.19e-5, 5.67e-3), "seconds", "11.9 µs–5.67 ms"),
        ((2e-3, 1.5e-3, 5.67e-3), "seconds", "1.50–5.67 ms"),
    ],
)
def test_values_are_written_for_people(value, kind, expected):
    assert units.text(value, kind) == expected


@given(st.floats(-1e300, 1e300), st.sampled_from(["number", "error"]))
def test_a_written_number_is_near_the_number(value, kind):
    assert float(units.text(value, kind)) == pytest.approx(value, rel=0.051, abs=1e-320)


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_the_main_ones():
    one = dataclasses.replace(REPORT, rows=ROWS[:2])
    assert "wide column" in shown(160, one)
    assert "wide column" not in shown(80, one)
    assert all(len(line) <= 80 for line in shown(80, one).splitlines())
    assert "1.50 ms" in shown(80, one)


def test_a_very_narrow_terminal_gets_a_line_a_value():
    text = shown(36)
    assert all(len(line) <= 36 for line in text.splitlines())
    assert "median" in text
    assert "1.50 ms" in text
    assert "2.00 µs" in text


def test_groups_have_titles_and_notes_stand_below_their_table():
    text = shown(120)
    assert text.index("one") < text.index("numpy") < text.index("numba: dx is wrong") < text.index("two")


def test_markup_in_a_value_is_printed_as_it_is():
    assert "[red]" in shown(120)


def test_json_holds_everything_and_is_strict():
    def refuse(word):
        raise AssertionError(word)

    document = json.loads(plugins.load("bncli.output.formats", "json").EXPORTER.render(REPORT), parse_constant=refuse)
    assert document["schema"] == 2
    assert document["command"] == "bench"
    assert document["environment"] == {"numpy": "2"}
    assert document["warnings"] == ["beware"]
    assert [row["kernel"] for row in document["rows"]] == ["numpy", "numba|x", "[red]"]
    assert document["rows"][1]["samples"] == [1.0, 2.0]
    assert math.isnan(float(document["rows"][1]["error"]))
    assert document["columns"][2] == {"key": "median", "title": "median", "kind": "seconds"}


def test_csv_is_one_line_a_row_in_si_units():
    rows = list(csv.DictReader(io.StringIO(plugins.load("bncli.output.formats", "csv").EXPORTER.render(REPORT))))
    assert len(rows) == 3
    assert float(rows[0]["median"]) == 1.5e-3
    assert json.loads(rows[1]["samples"]) == [1.0, 2.0]


def test_markdown_is_a_table_per_group_with_escaped_cells():
    text = plugins.load("bncli.output.formats", "markdown").EXPORTER.render(REPORT)
    lines = text.splitlines()
    assert lines[0] == "**one**"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 * 2 + 3
    assert {line.replace("\\|", "").count("|") for line in table} == {6}
    assert "numba\\|x" in text
    assert "- numba: dx is wrong" in text


def test_a_file_keeps_the_usual_permissions(tmp_path):
    files.replace_text(tmp_path / "ours", "")
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_is_one_line(tmp_path):
    def full(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"cannot write .*: No space left on device"):
        files.replace(tmp_path / "out", full)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "it is a folder"), ("nowhere/out.json", "there is no folder")],
)
def test_what_cannot_be_written_is_said_first(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        files.check_writable(tmp_path / name)
