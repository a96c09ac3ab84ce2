"""Where bncli may find itself: read-only, without a home, on systems that are not Linux."""

import io
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

import bncli
from bncli import cli, numba_cache
from bncli.benchmarking import environment, roofline
from bncli.errors import Unavailable
from bncli.kernels import numba as numba_kernel

PACKAGE = Path(bncli.__file__).parent
POSIX = pytest.mark.skipif(os.name != "posix", reason="it takes the home away as POSIX systems know it")


def run(code_or_module, *arguments, cwd=None, **changes):
    """Run Python, with environment variables changed, and those that are None taken away."""
    variables = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1", **changes}
    variables = {name: value for name, value in variables.items() if value is not None}
    return subprocess.run(
        [sys.executable, *code_or_module, *arguments],
        cwd=cwd, env=variables, capture_output=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """A copy of the package in which nothing can be kept: a file stands where each cache folder would be."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(PACKAGE, folder / "bncli", ignore=shutil.ignore_patterns("__pycache__"))
    for inside in [folder / "bncli", *(path for path in (folder / "bncli").rglob("*") if path.is_dir())]:
        (inside / "__pycache__").write_bytes(b"")
    return folder


@pytest.mark.slow
@pytest.mark.compiled
@POSIX
@pytest.mark.parametrize("cache", [None, "/dev/null/numba"], ids=["no cache is named", "the named one is unwritable"])
def test_a_read_only_installation_works_for_a_user_without_a_home(read_only, cache, tmp_path):
    done = run(
        ("-m", "bncli"), "gradcheck", "--kernel", "numba", "--shape", "5x4",
        cwd=tmp_path, PYTHONPATH=str(read_only), HOME="/dev/null", XDG_CACHE_HOME=None, NUMBA_CACHE_DIR=cache,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().splitlines() == [f"warning: {numba_cache.UNKEPT}"]
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ("gradcheck", "--kernel", "numba", "--shape", "5x4"),
            "kernel 'numba' cannot run here: NUMBA_DISABLE_JIT turns Numba's compiler off: unset it",
        ),
        (
            ("bench", "--kernel", "numpy", "--shape", "5x4"),
            "the memory roofline is measured with Numba's compiler: unset NUMBA_DISABLE_JIT",
        ),
    ],
    ids=["numba", "bench"],
)
def test_without_numbas_compiler_nothing_is_called_wrong_or_timed(command, said):
    done = run(("-m", "bncli"), *command, NUMBA_DISABLE_JIT="1")
    assert (done.returncode, done.stdout, done.stderr.decode()) == (3, b"", f"bncli: error: {said}\n")


@pytest.mark.compiled
def test_what_needs_numbas_compiler_says_so(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert numba_kernel.available() == "NUMBA_DISABLE_JIT turns Numba's compiler off: unset it"
    with pytest.raises(Unavailable, match=r"^the memory roofline is measured with Numba's compiler: unset NUMBA"):
        roofline.require_compiler()


def test_what_is_compiled_is_kept_where_it_can_be():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numba_cache.can_cache(lambda **options: lambda function: function)


def test_the_warning_is_given_once():
    def refusing(**options):
        def decorate(function):
            raise RuntimeError("cannot cache function: no locator available")

        return decorate

    with pytest.warns(RuntimeWarning, match="set NUMBA_CACHE_DIR"):
        assert not numba_cache.can_cache(refusing)
    assert not numba_cache.can_cache(refusing)  # a second warning would be an error


def test_the_machine_is_described_where_the_system_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(environment, "CACHES", tmp_path)
    (tmp_path / "index0").mkdir()  # a cache of which nothing can be read
    monkeypatch.setattr(environment, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    facts = environment.collect()
    assert facts["cores"] == os.cpu_count()
    assert facts["cpu"]
    assert facts["caches"] == {}
    assert facts["simd"] == []


NARROW = "import sys, numpy; numpy.longdouble = numpy.float64; numpy.clongdouble = numpy.complex128\n"
NARROW += "from bncli.cli import main; main(sys.argv[1:])"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("gradcheck", "--kernel", "numpy", "--shape", "5x4x3"), 0),
        (("gradcheck", "--kernel", "numpynet", "--shape", "5x4x3"), 1),
        (("verify", "--kernel", "numpy", "--dtype", "float64"), 0),
    ],
    ids=["right", "wrong", "adversarial"],
)
def test_verdicts_are_the_same_where_nothing_is_wider_than_a_double(command, code):
    # As on Windows, and on Apple's processors.
    done = run(("-c", NARROW), *command)
    assert done.returncode == code, done.stderr.decode()


@pytest.mark.slow
def test_a_table_is_printed_in_an_encoding_without_lines_and_bars():
    done = run(("-m", "bncli"), "forward", "--kernel", "numpy", "--shape", "5x4x3", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0
    assert done.stderr == b""
    assert "|mean|<" in done.stdout.decode("cp1252")


@pytest.mark.parametrize(
    ("encoding", "terminal", "asked", "printed"),
    [
        ("cp1252", False, None, "≤ ×".encode()),
        ("cp1252", True, None, b"< \xd7"),
        ("cp1252", False, "cp1252", b"< \xd7"),
        ("utf-8", False, None, "≤ ×".encode()),
        ("utf-8", True, None, "≤ ×".encode()),
    ],
)
def test_a_pipe_gets_utf_8_and_a_terminal_what_it_can_show(encoding, terminal, asked, printed, monkeypatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    if asked:
        monkeypatch.setenv("PYTHONIOENCODING", asked)
    into = io.BytesIO()
    into.isatty = lambda: terminal
    stream = io.TextIOWrapper(into, encoding=encoding)
    cli._accept_every_character(stream)
    stream.write("≤ ×")
    stream.flush()
    assert into.getvalue() == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("160 µs 1.2× ±0.1 ≤ – … → ─│━", "160 us 1.2x ~0.1 < - . > -|-"),
        (" ▁▂▃▄▅▆▇█", " .:-=+*#@"),
        ("é.json", r"\xe9.json"),
    ],
)
def test_ascii_gets_similar_characters_of_the_same_width_and_no_question_marks(text, printed):
    assert text.encode("ascii", cli.SIMILAR).decode() == printed


def test_a_stream_of_another_kind_is_left_alone():
    stream = io.StringIO()
    cli._accept_every_character(stream)
    stream.write("≤")
    assert stream.getvalue() == "≤"
