"""Reports that are written and read again."""

import json
import math

import pytest

from bncli.comparison import saved
from bncli.core.report import Column, Report
from bncli.core.rows.schema import TABLES
from bncli.errors import InputError
from bncli.output.formats.json import EXPORTER
from planted import typed
from results import COMMANDS

PASS = {"problem": "5x3/per-activation/float32/eps=1e-05", "kernel": "numpy", "direction": "forward"}
REPORT = Report(
    "bench",
    (Column("kernel", "kernel"), Column("median", "median", "seconds"), Column("note", "note", "note")),
    typed(
        [
            PASS | {"median": 1e-3, "low": 1e-3, "high": 2e-3, "samples": [1e-3, 2e-3], "threads": None},
            PASS | {"kernel": "nan", "verdict": "PASS", "digits": math.nan, "of_limit": math.inf, "note": "inf"},
        ]
    ),
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
    return json.loads(EXPORTER.render(REPORT))


def test_what_is_written_is_read_again(written, document):
    found = saved.load(written(document))
    assert (found.command, found.columns, found.environment) == ("bench", list(REPORT.columns), REPORT.environment)
    assert (found.warnings, found.failures) == (REPORT.warnings, REPORT.failures)
    assert json.loads(EXPORTER.render(found)) == document
    # A word for a number is a number again, and a word in a column of text stays one.
    assert math.isnan(found.rows[1]["digits"])
    assert (found.rows[1]["of_limit"], found.rows[1]["note"]) == (math.inf, "inf")


@pytest.mark.parametrize("name", [*COMMANDS, "compare"])
def test_the_results_of_every_command_have_rows_of_its_classes_and_are_written_again_as_they_were(name, saved_results):
    found = saved.load(saved_results[name])
    assert {type(row) for row in found.rows} <= {*TABLES[found.command]}
    assert json.loads(EXPORTER.render(found)) == json.loads(saved_results[name].read_text(encoding="utf-8"))


def test_rows_of_a_command_that_is_not_known_are_what_they_were(written, document):
    row = {"a": 10**400, "b": -(10**400), "c": 10**300, "d": [10**400], "e": "nan", "f": "words"}
    [found] = saved.load(written(document | {"command": "greet", "rows": [row]})).rows
    assert math.isnan(found["e"])
    known = {"a": math.inf, "b": -math.inf, "c": 10**300, "d": [math.inf], "f": "words"}
    assert {key: value for key, value in found.items() if key != "e"} == known


def test_an_interval_that_was_not_saved_is_that_of_the_samples():
    samples = [1e-3 + k * 1e-6 for k in range(101)]
    [row] = typed([PASS | {"samples": samples, "median": samples[50]}])
    # The order statistics that bound the median of 101 samples in 95 % of all cases are the 41st and the 61st.
    assert row["low"] == pytest.approx(samples[40], abs=1.5e-6)
    assert row["high"] == pytest.approx(samples[60], abs=1.5e-6)


def test_a_newer_schema_is_refused(written, document):
    with pytest.raises(InputError, match=r"is of schema 99, which a newer bncli wrote; .* up to 2: update bncli"):
        saved.load(written(document | {"schema": 99, "rows": "in some new form"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON, or is cut off"),
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
        ("command", None, "is damaged: Expected `str`, got `null` - at `command`"),
        ("environment", [], "is damaged: Expected `object`, got `array` - at `environment`"),
        ("\ud800", 1, "is damaged: 'utf-8' codec can't encode character"),
        ("warnings", [1], r"is damaged: Expected `str`, got `int` - at `warnings\[0\]`"),
        ("failures", "many", "is damaged: Expected `array`, got `str` - at `failures`"),
        ("rows", {}, "is damaged: Expected `array`, got `object` - at `rows`"),
        ("rows", [[1]], r"is damaged: Expected `object`, got `array` - at `rows\[0\]`"),
        ("rows", [PASS | {"samples": {"a": 1}}], "row 1: Expected `array`, got `object` - at `figures.samples`"),
        (
            "rows",
            [PASS, PASS | {"samples": [{}]}],
            r"row 2: Expected `float`, got `object` - at `figures.samples\[0\]`",
        ),
        ("columns", [{"title": "a"}], r"is damaged: Object missing required field `key` - at `columns\[0\]`"),
        ("columns", [{"key": "a", "title": "a", "kind": "colour"}], "Invalid enum value 'colour'"),
    ],
)
def test_a_damaged_report_is_refused(written, document, key, value, message):
    with pytest.raises(InputError, match=message):
        saved.load(written(document | {key: value}))


@pytest.mark.parametrize("part", [0.2, 0.5, 0.99])
def test_a_file_that_was_cut_is_refused(written, document, part):
    text = json.dumps(document)
    with pytest.raises(InputError, match="is not JSON, or is cut off"):
        saved.load(written(text[: int(part * len(text))]))


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.json.*: No such file"):
        saved.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot read"):
        saved.load(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_report_in_another_encoding_is_read(encoding, written):
    text = EXPORTER.render(REPORT)
    expected = repr(saved.load(written(text)))
    path = written("")
    path.write_text(text, encoding=encoding)
    assert repr(saved.load(path)) == expected
