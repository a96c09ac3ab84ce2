"""Schema 1 of saved results: its keys are public, and stay."""

import json
from pathlib import Path

import pytest

import bncli
from bncli.comparison import saved
from bncli.core.rows.schema import TABLES
from bncli.core.rows.times import BenchRow
from bncli.output.formats.json import EXPORTER
from command_line import invoke
from planted import typed

GOLDEN = Path(__file__).parent / "golden"
# The keys of every kind of row, in their order, as the first version with this schema wrote them.
KEYS = json.loads((GOLDEN / "schema1.json").read_text(encoding="utf-8"))
COMMANDS = {
    "forward": ("forward", "--kernel", "numpy", "--shape", "5x4"),
    "backward": ("backward", "--kernel", "numpy", "--shape", "5x4"),
    "kernels": ("kernels",),
    "presets": ("presets",),
    "info": ("info",),
    "bench isolated": ("bench", "--shape", "5x4", "--kernel", "numpy", "--isolate", "--max-time", "0"),
}


def without_additions(keys, golden):
    return [key for key in keys if key in golden]


def assert_known(document, name):
    known = {key for keys in KEYS[name] for key in keys}
    assert without_additions(document, KEYS["document"][0]) == KEYS["document"][0]
    for row in document["rows"]:
        assert without_additions(row, known) in KEYS[name]


@pytest.mark.parametrize("name", ["bench", "gradcheck", "verify", "curve", "selftest", "compare"])
def test_saved_results_have_the_keys_of_schema_1(name, saved_results):
    assert_known(json.loads(saved_results[name].read_text(encoding="utf-8")), name)


TIMES_APART = pytest.param("bench isolated", marks=[pytest.mark.compiled, pytest.mark.slow])


@pytest.mark.parametrize("name", [TIMES_APART if name == "bench isolated" else name for name in COMMANDS])
def test_what_is_printed_as_json_has_the_keys_of_schema_1(name):
    done = invoke(*COMMANDS[name], "--format", "json")
    assert done.exit_code == 0, done.output
    assert_known(json.loads(done.stdout), name)


@pytest.mark.parametrize(
    ("command", "name"), [("bench", "bench on workers"), ("forward", "blocks"), ("compare", "compare")]
)
def test_rows_that_need_a_cluster_have_the_keys_of_schema_1(command, name):
    values = {"problem": "5x4", "kernel": "k", "direction": "forward", "verdict": "PASS", "array": "x", "ratio": 1.0}
    for keys in KEYS[name]:
        texts = ("input", "note", "mode", "shape", "dtype", "outputs", "cache", "variant", "count", "beside")
        row = {key: values.get(key, "" if key in texts else [1.0] if key == "samples" else 1) for key in keys}
        assert without_additions(typed([row], command)[0], keys) == keys


@pytest.mark.parametrize("name", ["bench", "gradcheck"])
def test_files_of_the_first_version_are_read_and_written_again_as_they_were(name):
    path = GOLDEN / f"{name}.json"
    found = saved.load(path)
    assert {type(row) for row in found.rows} <= {*TABLES[name]}
    assert json.loads(EXPORTER.render(found)) == json.loads(path.read_text(encoding="utf-8"))


def test_files_of_the_first_version_are_compared():
    found = bncli.compare(GOLDEN / "bench.json", GOLDEN / "bench.json")
    assert {row["ratio"] for row in found.rows if row["old"]} == {1.0}


def test_a_row_can_be_read_like_a_dictionary():
    row = typed([{"problem": "5x4", "kernel": "numpy", "direction": "forward", "verdict": "PASS", "digits": 7.0}])[0]
    assert isinstance(row, BenchRow)
    assert (row["digits"], row.get("median"), "median" in row) == (7.0, None, False)
    assert dict(row) == {**row} == row
    assert row.judged.digits == 7.0
    with pytest.raises(KeyError):
        row["median"]
