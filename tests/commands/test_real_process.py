"""bncli in a process of its own: exit codes, pipes, and what is imported."""

import ast
import subprocess
import sys

import pytest

import bncli
from command_line import SMALL

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def process(*command, **settings):
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=120, **settings
    )


@pytest.mark.slow
def test_a_real_process_ends_in_the_right_code():
    done = process("-W", "error", "-m", "bncli", "gradcheck", "--kernel", "numpynet", *SMALL)
    assert done.returncode == 1
    assert "WRONG" in done.stdout
    assert done.stderr == "bncli: numpynet: dx is WRONG\n"


@pytest.mark.slow
def test_a_closed_pipe_is_no_traceback():
    command = f"'{sys.executable}' -m bncli forward --shape 5x4x4x3 --kernel numpy --format json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


UNNEEDED = {"numba", "scipy", "PIL", "matplotlib", "jinja2", "zarr", "dask", "distributed", "torch", "jax"}
UNNEEDED |= {"unittest", "asyncio", "rich.progress", "bncli.cluster.session", "bncli.output.terminal.progress_bar"}
OF_TIMES = {"msgspec", "importlib.metadata", "bncli.benchmarking.environment", "bncli.benchmarking.entries"}


def imported(code, modules):
    """Those of ``modules`` that a process has imported after ``code`` and the end of a command."""
    shown = f"print(sorted({modules!r} & set(sys.modules)))"
    found = process("-c", f"import sys\nfrom bncli.cli import main\ntry: {code}\nexcept SystemExit: pass\n{shown}")
    return ast.literal_eval(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_the_version_import_nothing_heavy(option):
    assert imported(f"main([{option!r}])", {*UNNEEDED, "numpy", "rich", "bncli.core.report"}) == []


def test_no_command_imports_what_few_runs_need():
    """A module of a kernel, a source, a cluster or a picture is imported once a run asks for it."""
    loaded = "[main.get_command(None, name) for name in main.list_commands(None)]"
    assert imported(loaded, UNNEEDED) == []


def test_commands_that_time_nothing_import_nothing_that_times():
    assert imported("[main.get_command(None, name) for name in ('forward', 'gradcheck', 'verify')]", OF_TIMES) == []


@pytest.mark.slow
def test_a_run_on_random_numbers_with_numpy_imports_neither_numba_nor_pillow():
    """Nor what a table of its results does not show."""
    assert imported("main(['forward', '--kernel', 'numpy', '--shape', '5x3'])", UNNEEDED | OF_TIMES) == []


@pytest.mark.slow
def test_the_public_names_are_importable_and_import_lazily():
    code = (
        "import sys, bncli\nassert 'numpy' not in sys.modules\n"
        "print(bncli.BatchNorm.__name__, bncli.Problem((2, 3)), bncli.load_kernel('numpy').name)"
    )
    assert process("-W", "error", "-c", code).stdout == "BatchNorm 2x3/per-activation/float64/eps=1e-08 numpy\n"
    with pytest.raises(AttributeError):
        _ = bncli.nothing
