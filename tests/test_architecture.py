"""The house: imports point downward only, and adding a thing is adding one file."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bncli

PACKAGE = Path(bncli.__file__).parent
FLOORS = [
    {"errors", "files", "plugins", "numba_cache", "__init__"},
    {"core"},
    {"loading", "kernels", "inputs"},
    {"verification", "isolation", "layer"},
    {"benchmarking", "propagation"},
    {"output", "comparison", "cluster"},
    {"commands"},
    {"cli", "__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
GROUND = set(FLOORS[0])
# Output knows no other room but core, and its page and charts comparison.
READERS_OF_COMPARISON = ("output.page", "output.charts")
# Kernels and inputs are loaded by name. The cluster alone builds on a kernel: it runs the blocks of dask elsewhere.
LOADED_BY_NAME = {"kernels", "inputs"}
BUILT_ON = {("cluster", "bncli.kernels.dask")}
# Rooms whose files are plugins: a name there may stand in another room as well.
PLUGIN_ROOMS = ("kernels", "inputs", "arrays", "commands", "output/charts", "output/formats")
KNOWN_TO = {
    "rich": {"output"},
    "click": {"cli", "commands"},
    "PIL": {"inputs", "output"},
    # benchmarking measures what the memory can do, which NumPy's copies on one core do not show.
    "numba": {"kernels", "benchmarking", "commands", "numba_cache"},
    "llvmlite": {"kernels", "benchmarking"},
    "dask": {"kernels", "cluster"},
    "distributed": {"kernels", "cluster"},
    "zarr": {"inputs", "cluster"},
    "matplotlib": {"output"},
    "jinja2": {"output"},
}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """The modules that a file imports, wherever in it, but for those that only a type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "configs" not in path.parts]


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} == set(FLOOR)


def faults(path, name):
    """Which rules the import of ``name`` in the file ``path`` breaks."""
    room, (first, *rest) = room_of(path), name.split(".")
    if first in KNOWN_TO and room not in KNOWN_TO[first]:
        yield f"{room} imports {first}"
    if first != "bncli":
        return
    other = rest[0] if rest and rest[0] in FLOOR else "__init__"
    if other == room or other in GROUND or room == "__main__":
        return
    own = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    reads = other == "comparison" and own.startswith(READERS_OF_COMPARISON)
    if FLOOR[other] > FLOOR[room]:
        yield f"{room} imports {name}, which stands above it"
    if FLOOR[other] == FLOOR[room] and not reads:
        yield f"{room} imports {name}, which stands on the same floor"
    if room == "output" and other != "core" and not reads:
        yield f"output imports {name}, and should know core only"
    if other in LOADED_BY_NAME and not any(room == by and name.startswith(whom) for by, whom in BUILT_ON):
        yield f"{room} imports {name}, which is loaded by name"
    if any(part.startswith("_") for part in rest[1:]):
        yield f"{room} imports {name}, which is private to {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_the_rules_of_the_house(path):
    assert not [fault for name in imports(path) for fault in faults(path, name)]


@pytest.mark.parametrize(
    ("file", "name", "fault"),
    [
        ("core/layout.py", "bncli.output.terminal.tables", "above"),
        ("verification/accuracy.py", "bncli.isolation.process", "same floor"),
        ("output/terminal/tables.py", "bncli.benchmarking.statistics", "core only"),
        ("output/terminal/tables.py", "bncli.comparison.compare", "same floor"),
        ("verification/accuracy.py", "bncli.kernels.reference", "loaded by name"),
        ("commands/bench.py", "bncli.verification._diagnosis.facts", "private"),
        ("core/layout.py", "rich", "imports rich"),
    ],
)
def test_an_import_that_breaks_a_rule_is_found(file, name, fault):
    assert any(fault in each for each in faults(PACKAGE / file, name))


@pytest.mark.parametrize(
    ("file", "name"),
    [("output/page/html.py", "bncli.comparison.saved"), ("cluster/tasks.py", "bncli.kernels.dask.blocks")],
)
def test_the_exceptions_break_no_rule(file, name):
    assert not list(faults(PACKAGE / file, name))


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.match("kernels/_numba/*.py") or p.match("dask/compiled.py")], ids=str
)
def test_compiled_code_comes_from_one_folder(path):
    """So that the digest of the folder finds each edit of it."""
    own = f"bncli.{'.'.join(path.relative_to(PACKAGE).parent.parts)}."
    inside = [name for name in imports(path) if name.startswith("bncli")]
    assert all(name == "bncli.numba_cache" or name.startswith(own) for name in inside)


def test_no_two_modules_have_the_same_name():
    """So that a search for a name finds one file."""
    places = {}
    for path in FILES:
        inside = path.relative_to(PACKAGE)
        if path.stem not in ("__init__", "__main__") and not str(inside.as_posix()).startswith(PLUGIN_ROOMS):
            places.setdefault(path.stem.lstrip("_"), []).append(str(inside))
    assert not {name: found for name, found in places.items() if len(found) > 1}


@pytest.mark.parametrize("room", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()))
def test_a_room_says_what_it_answers_what_comes_in_and_what_goes_out(room):
    document = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
    question, _, rest = document.partition("\n")
    assert question.endswith("?")
    assert "In: " in rest
    assert "Out: " in rest


def test_the_checker_of_imports_sees_an_upward_one(tmp_path):
    file = tmp_path / "layout.py"
    file.write_text("def f():\n    from bncli.output.terminal import tables\n    import rich\n")
    assert list(imports(file)) == ["bncli.output.terminal.tables", "rich"]


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
