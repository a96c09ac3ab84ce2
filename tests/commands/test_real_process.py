"""bncli in a process of its own: exit codes, pipes, and what is imported."""

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


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom bncli.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: print(sorted({'numpy','numba','PIL','rich'} & set(sys.modules)))"
    )
    assert process("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_a_run_on_random_numbers_with_numpy_imports_neither_numba_nor_pillow():
    code = (
        "import sys\nfrom bncli.cli import main\n"
        "try: main(['forward', '--kernel', 'numpy', '--shape', '5x3'])\n"
        "except SystemExit: print(sorted({'numba', 'PIL', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    assert process("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_public_names_are_importable_and_import_lazily():
    code = (
        "import sys, bncli\nassert 'numpy' not in sys.modules\n"
        "print(bncli.BatchNorm.__name__, bncli.Problem((2, 3)), bncli.load_kernel('numpy').name)"
    )
    assert process("-W", "error", "-c", code).stdout == "BatchNorm 2x3/per-activation/float64/eps=1e-08 numpy\n"
    with pytest.raises(AttributeError):
        _ = bncli.nothing
