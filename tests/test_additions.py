"""Adding a thing is adding one file."""

import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bncli
from bncli import plugins

PACKAGE = Path(bncli.__file__).parent
KERNEL = """
from bncli.core.kernel import Kernel
from bncli.kernels import numpy

KERNEL = Kernel(numpy.forward, numpy.backward, summary="dropped in")
"""
SOURCE = """
import numpy as np
from bncli.core.problem import Problem
from bncli.core.source import Batch, Source

def load(request):
    shape = tuple(int(value) for value in request.values)
    return Batch(Problem(shape), {"x": np.linspace(0, 1, int(np.prod(shape))).reshape(shape)})

SOURCE = Source(load, help="Evenly spaced.", metavar="N", repeatable=True)
"""
EXPORT = """
from bncli.core.report import Exporter

EXPORTER = Exporter(lambda report: f"{len(report.rows)} rows\\n", suffixes=(".rows",))
"""
COMMAND = '''"""Greet whoever drops in a file."""
import click

@click.command()
def greet():
    """Greet."""
    click.echo("hello")

COMMAND = greet
'''
CHART = """
from bncli.core.chart import Axis, Chart, Point, Series

def charts(report):
    points = [Point(at, row["problems"], row["preset"]) for at, row in enumerate(report.rows)]
    axis = Axis("problems", "count", logarithmic=False)
    return [Chart("drawn", axis, [Series("n", points)], [point.says for point in points])]

CHARTS = charts
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the package with one file dropped into each room; returns a way to run it."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(PACKAGE, folder / "bncli", ignore=shutil.ignore_patterns("__pycache__"))
    if not (folder / "bncli" / "configs").is_dir():
        shutil.copytree(PACKAGE.parent / "configs", folder / "configs")
    configs = next(folder.rglob("configs"))
    for path, content in {
        folder / "bncli/kernels/dropped_in.py": KERNEL,
        folder / "bncli/inputs/spaced.py": SOURCE,
        folder / "bncli/output/formats/count.py": EXPORT,
        folder / "bncli/commands/greet.py": COMMAND,
        folder / "bncli/output/charts/presets.py": CHART,
        configs / "mine.toml": 'summary = "mine"\nkernel = "dropped-in"\nshape = "6x7"\n',
    }.items():
        path.write_text(content, encoding="utf-8")

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "bncli", *arguments],
            cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_a_dropped_in_kernel_is_found_everywhere(extended):
    assert "dropped in" in extended("kernels")
    rows = json.loads(extended("gradcheck", "--kernel", "dropped-in", "--shape", "5x3", "--format", "json"))["rows"]
    assert {row["kernel"] for row in rows} == {"dropped-in"}


@pytest.mark.slow
def test_a_dropped_in_source_becomes_an_option(extended):
    assert "Evenly spaced." in extended("forward", "--help")
    rows = json.loads(extended("forward", "--spaced", "6", "--spaced", "2", "--kernel", "numpy", "--format", "json"))[
        "rows"
    ]
    assert rows[0]["max"] == 1
    assert rows[0]["shape"] == "6x2"


@pytest.mark.slow
def test_a_dropped_in_format_is_offered_and_chosen_by_its_suffix(extended):
    kernels = len(json.loads(extended("kernels", "--format", "json"))["rows"])
    assert extended("kernels", "--format", "count", "--export", "out.rows") == f"{kernels} rows\n"


@pytest.mark.slow
def test_a_dropped_in_chart_gives_its_command_an_option_and_is_drawn(extended, tmp_path):
    assert "--plot" in extended("presets", "--help")
    pytest.importorskip("matplotlib")
    extended("presets", "--plot", str(tmp_path / "presets.svg"))
    assert b"<svg" in (tmp_path / "presets.svg").read_bytes()


@pytest.mark.slow
def test_a_dropped_in_command_is_listed_and_runs(extended):
    assert "Greet whoever drops in a file." in extended("--help")
    assert extended("greet") == "hello\n"


@pytest.mark.slow
def test_a_dropped_in_preset_is_listed_and_used(extended):
    assert "mine" in extended("presets")
    assert extended("forward", "--preset", "mine").startswith("6x7/")


@pytest.mark.parametrize("collecting", [True, False])
def test_a_file_that_breaks_leaves_the_garbage_collector_as_it_was(tmp_path, monkeypatch, collecting):
    room = tmp_path / "a_room_of_breaking_files"
    room.mkdir()
    room.joinpath("broken.py").write_text("import gc\nassert gc.isenabled()\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with pytest.raises(AssertionError):
            plugins.load(room.name, "broken")
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()
