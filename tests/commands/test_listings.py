"""bench, kernels, info and presets; every format and file."""

import csv
import json
import os

import numpy as np
import pytest

import bncli
from bncli import plugins
from command_line import COMMANDS, SMALL, rows, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_bench_times_what_it_has_verified_and_nothing_else():
    found = rows("bench", *SMALL, "--kernel", "numpy", "--kernel", "numpynet", "--max-time", "0", code=1)
    found, limits = found[:-2], found[-2:]
    assert [(row["kernel"], row["direction"]) for row in limits] == [("copy", "limit"), ("add", "limit")]
    assert [(row["kernel"], row["direction"]) for row in found] == [
        (kernel, direction) for kernel in ("numpy", "numpynet") for direction in ("forward", "backward")
    ]
    for row in found[:2]:
        assert row["verdict"] == "PASS"
        assert row["digits"] > 14
        assert len(row["samples"]) == row["rounds"] >= 5
        assert row["minimum"] <= row["median"]
        assert row["speedup"] == 1
    for row, limit in zip(found[:2], limits, strict=True):
        ratios = [sample / least for sample, least in zip(row["samples"], limit["samples"], strict=True)]
        assert row["of_limit"] == pytest.approx(np.median(ratios))
        assert row["bytes"] == limit["bytes"]
    for row in found[:2] + limits:
        assert row["bandwidth"] == pytest.approx(row["bytes"] / row["median"])
    assert [row["bytes"] for row in found[:2]] == [2 * 240 * 8, 3 * 240 * 8]
    for row in found[2:]:
        assert "median" not in row
        assert "samples" not in row
    assert "dx is WRONG" in found[3]["note"]


def test_bench_shows_no_bar_where_there_is_no_terminal():
    told = run("bench", *SMALL, "--kernel", "numpy", "--max-time", "0").stderr.splitlines()
    assert all(line.startswith("warning: ") for line in told)  # of what else runs on the machine


def test_a_list_of_problems_runs_them_all():
    for command in ("forward", "backward", "gradcheck", "bench"):
        extra = ("--max-time", "0") if command == "bench" else ()
        found = rows(command, "--preset", "quick", "--kernel", "numpy", *extra)
        assert len({row["problem"] for row in found}) == 3


# What there is.


def test_kernels_says_what_each_is_and_whether_it_can_run():
    found = {row["kernel"]: row for row in rows("kernels")}
    assert set(found) == set(plugins.names("bncli.kernels"))
    assert found["numpy"]["available"] == "yes"
    assert all(row["summary"] for row in found.values())


def test_info_names_the_machine():
    found = {row["item"]: row["value"] for row in rows("info")}
    assert found["bncli"] == bncli.__version__
    assert found["numpy"] == np.__version__
    assert found["numba threading layer"] in ("omp", "tbb", "workqueue")


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, "default: neither GOMP_SPINCOUNT nor OMP_WAIT_POLICY is set"),
        ({"OMP_WAIT_POLICY": "passive"}, "OMP_WAIT_POLICY=passive"),
        (
            {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "1000"},
            "GOMP_SPINCOUNT=1000, OMP_WAIT_POLICY=active",
        ),
    ],
)
def test_info_says_how_the_threads_of_openmp_wait(monkeypatch, variables, shown):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = {row["item"]: row["value"] for row in rows("info")}
    assert found.get("openmp waiting", shown) == shown
    assert ("openmp waiting" in found) == (found["numba threading layer"] == "omp")


def test_presets_are_those_in_configs():
    found = {row["preset"]: row for row in rows("presets")}
    assert set(found) == {
        "bert", "densenet121", "googlenet", "grid", "images", "inception-v3", "large-images", "mobilenet-v2", "pytorch",
        "quick", "resnet50", "resnet50-nhwc", "roofline", "seed", "small-batches", "tiny",
    }  # fmt: skip
    assert found["resnet50"]["problems"] == 9
    assert all(row["summary"] for row in found.values())


# Formats and files.


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ("report", "help")])
def test_every_command_speaks_every_format_and_exports(command, tmp_path_factory):
    small = () if command in ("kernels", "info", "presets") else (*SMALL, "--kernel", "numpy")
    if command == "compare":
        old = tmp_path_factory.mktemp("saved") / "old.json"
        run("bench", *small, "--max-time", "0", "--export", old)
        small = (old, old)
    if command == "selftest":
        small = ("--fault", "swapped", "--no-torch")
    extra = ("--max-time", "0") if command == "bench" else ()
    exports = [word for name in ("a.json", "b.csv", "c.md") for word in ("--export", name)]
    # What prints a format also writes it, so commands that take long print two of them.
    for name in ("table", "json") if small else ("table", "csv", "json", "markdown"):
        assert run(command, *small, *extra, *exports, "--format", name).stdout
    with open("a.json", encoding="utf-8") as file:
        document = json.load(file)
    assert document["command"] == command
    assert document["environment"]["numpy"] == np.__version__
    with open("b.csv", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1 + len(document["rows"])
    assert sorted(os.listdir()) == ["a.json", "b.csv", "c.md"]


def test_data_goes_to_stdout_and_is_whole_in_a_pipe():
    result = run("forward", *SMALL, "--format", "json")
    assert result.stderr == ""
    json.loads(result.stdout)
