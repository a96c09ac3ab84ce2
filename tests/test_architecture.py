"""The house: imports point downward only, and each thing has its place and its own name."""

import ast
from pathlib import Path

import pytest

import bncli

PACKAGE = Path(bncli.__file__).parent
TESTS = Path(__file__).parent
TEST_FILES = [path for path in TESTS.rglob("*.py") if "hostile" not in path.parts]
LONGEST_TEST = 300  # lines
COMPILING = ("numba_cache", "numba_forking", "numba_parts", "numba_pointers")
ENDING = ("linux", "notices", "signals", "supervised", "supervisor")
FLOORS = [
    {"errors", "files", *COMPILING, *ENDING, "numba_settings", "plugins", "__init__"},
    {"core", "arrays"},
    {"loading", "kernels", "inputs"},
    {"verification", "isolation", "layer"},
    {"benchmarking", "propagation"},
    {"output", "comparison", "cluster"},
    {"commands"},
    {"cli", "__main__", "pytest_plugin"},
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
    "numba": {"kernels", "benchmarking", "commands", *COMPILING},
    "llvmlite": {"kernels", "benchmarking", "numba_forking", "numba_settings"},
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


def test_imports_keep_the_rules_of_the_house():
    broken = [(str(path), fault) for path in FILES for name in imports(path) for fault in faults(path, name)]
    assert broken == []


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
    """So that the digest of the folder, and of numba_*.py, finds each edit of it."""
    own = f"bncli.{'.'.join(path.relative_to(PACKAGE).parent.parts)}."
    inside = [name for name in imports(path) if name.startswith("bncli")]
    assert all(name.startswith(("bncli.numba_", own)) for name in inside)


def test_no_two_modules_have_the_same_name():
    """So that a search for a name finds one file."""
    places = {}
    for path in FILES:
        inside = path.relative_to(PACKAGE)
        if path.stem not in ("__init__", "__main__") and not str(inside.as_posix()).startswith(PLUGIN_ROOMS):
            places.setdefault(path.stem.lstrip("_"), []).append(str(inside))
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_the_folders_of_tests_are_rooms_of_the_package():
    assert {path.relative_to(TESTS).parts[0] for path in TEST_FILES if path.parent != TESTS} <= set(FLOOR)


def test_a_file_of_tests_is_short():
    lines = {str(path.relative_to(TESTS)): len(path.read_bytes().splitlines()) for path in TESTS.rglob("*.py")}
    assert not {path: count for path, count in lines.items() if count > LONGEST_TEST}


def test_no_two_files_of_tests_have_the_same_name():
    """Whatever its folder, a helper is imported by its name alone."""
    names = [path.stem for path in TEST_FILES if path.stem != "conftest"]
    assert not [name for name in set(names) if names.count(name) > 1]


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
