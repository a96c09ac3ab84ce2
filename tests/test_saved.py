"""Reports that are written and read again."""

import json
import math

import pytest

from bncli import plugins
from bncli.comparison import saved
from bncli.core.report import Column, Report
from bncli.errors import InputError

REPORT = Report(
    "bench",
    (Column("kernel", "kernel"), Column("median", "median", "seconds"), Column("note", "note", "note")),
    [
        {"kernel": "numpy", "median": 1e-3, "samples": [1e-3, 2e-3], "first": None, "note": "", "ok": True},
        {"kernel": "nan", "median": math.nan, "samples": [math.inf, -math.inf], "note": "inf"},
    ],
    environment={"cpu": "a cpu", "cores": 2},
    warnings=["beware"],
    failures=["numpy: dx is WRONG"],
)


@pytest.fixture
def written(tmp_path):
    """written(content) -> the path of a file with that text, or with that document."""

    def write(content):
        path = tmp_path / "out.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        return path

    return write


@pytest.fixture
def document():
    return json.loads(plugins.load("bncli.output.formats", "json").EXPORTER.render(REPORT))


def test_what_is_written_is_read_again(written, document):
    found = saved.load(written(document))
    assert (found.command, found.columns, found.environment) == ("bench", list(REPORT.columns), REPORT.environment)
    assert (found.warnings, found.failures) == (REPORT.warnings, REPORT.failures)
    assert found.rows[0] == REPORT.rows[0]
    # A word for a number is a number again, and a word in a column of text stays one.
    assert math.isnan(found.rows[1]["median"])
    assert found.rows[1] == REPORT.rows[1] | {"median": found.rows[1]["median"]}


def test_a_whole_number_that_no_float_can_hold_is_infinite(written, document):
    document["rows"] = [{"a": 10**400, "b": -(10**400), "c": 10**300, "d": [10**400]}]
    [row] = saved.load(written(document)).rows
    assert row == {"a": math.inf, "b": -math.inf, "c": 10**300, "d": [math.inf]}


def test_a_newer_schema_is_refused(written, document):
    with pytest.raises(InputError, match=r"is of schema 99, which a newer bncli wrote; .* up to 1: update bncli"):
        saved.load(written(document | {"schema": 99, "rows": "in some new form"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON, or not all of it"),
        ("hello", "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
        ('{"schema": 1, "rows": ' + "9" * 5000 + "}", "is not JSON"),
        ("[]", "is not a report of bncli"),
        ("7", "is not a report of bncli"),
        ("null", "is not a report of bncli"),
        ({"version": "1.0", "benchmarks": []}, "is not a report of bncli"),
        ({"schema": "1", "rows": []}, "is not a report of bncli"),
        ({"schema": True, "rows": []}, "is not a report of bncli"),
        ({"schema": 0, "rows": []}, "is not a report of bncli"),
        ({"schema": 1}, "is not a report of bncli"),
    ],
)
def test_another_file_is_refused(written, content, message):
    with pytest.raises(InputError, match=message):
        saved.load(written(content))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("command", None, "is damaged: 'command' is None"),
        ("environment", [], r"is damaged: 'environment' is \[\]"),
        ("warnings", [1], "is damaged: 'warnings' has an entry 1"),
        ("failures", "many", "is damaged: 'failures' is 'many'"),
        ("rows", {}, "is damaged: 'rows' is {}"),
        ("rows", [[1]], r"is damaged: 'rows' has an entry \[1\]"),
        ("rows", [{"samples": {"a": 1}}], "is damaged: a value of a row is an object"),
        ("rows", [{"samples": [{}]}], "is damaged: a value of a row is an object"),
        ("columns", [{"key": "a", "title": "a"}], "is damaged: 'kind' is None"),
        ("columns", [{"key": "a", "title": "a", "kind": "colour"}], "no column is of the kind 'colour'"),
    ],
)
def test_a_damaged_report_is_refused(written, document, key, value, message):
    with pytest.raises(InputError, match=message):
        saved.load(written(document | {key: value}))


@pytest.mark.parametrize("part", [0.2, 0.5, 0.99])
def test_a_file_that_was_cut_is_refused(written, document, part):
    text = json.dumps(document)
    with pytest.raises(InputError, match="is not JSON, or not all of it"):
        saved.load(written(text[: int(part * len(text))]))


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.json.*: No such file"):
        saved.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot read"):
        saved.load(tmp_path)
