"""Any kernel: from a file, a module or an entry point; what is missing or malformed is one line."""

import inspect
import json
import os
import py_compile
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from click.testing import CliRunner

import naive
from bncli import plugins
from bncli.cli import main
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import InputError, KernelFault, Unavailable
from bncli.loading import imports
from bncli.loading.guard import guarded
from bncli.loading.registry import kernel_names, load_kernel, registered_kernel
from bncli.loading.user_code import as_kernel

SMALL = ("--shape", "5x4x3")
LAYOUTS = ("6x5x4/per-activation", "6x5x4/channels-last", "6x3x4/channels-first")

FORWARD = """
def forward(data, scale, shift, eps):
    std = (data.var((0, 2), keepdims=True) + eps) ** 0.5
    x_hat = (data - data.mean((0, 2), keepdims=True)) / std
    return scale[:, None] * x_hat + shift[:, None], (x_hat, scale[:, None] / std)
"""
BACKWARD = """
def backward(delta, kept):
    x_hat, scale = kept
    dx_hat = delta - delta.mean((0, 2), keepdims=True) - x_hat * (delta * x_hat).mean((0, 2), keepdims=True)
    return scale * dx_hat, (delta * x_hat).sum((0, 2)), delta.sum((0, 2))
"""
KERNEL = FORWARD + BACKWARD
ROWS = """
ndim = 2
seen = []
def forward(x, gamma, beta, epsilon):
    seen.append((x.shape, x.flags.c_contiguous, x.flags.writeable))
    inv_std = 1 / (x.var(0) + epsilon) ** 0.5
    x_hat = (x - x.mean(0)) * inv_std
    return gamma * x_hat + beta, (x_hat, gamma * inv_std)
def backward(dy, saved):
    x_hat, scale = saved
    return scale * (dy - dy.mean(0) - x_hat * (dy * x_hat).mean(0)), (dy * x_hat).sum(0), dy.sum(0)
"""
ROWS_OUT = """
ndim = 2
import rows
def forward(x, gamma, beta, epsilon, out=None):
    y, saved = rows.forward(x, gamma, beta, epsilon)
    return _into(out, y), saved
def backward(dy, saved, *, out=None):
    found = rows.backward(dy, saved)
    return found if out is None else tuple(map(_into, out, found))
def _into(out, found):
    if out is None:
        return found
    out[...] = found
    return out
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    """In it, and nothing of what is imported from it stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(imports, "_user_folders", set())
    forget_published = plugins.published.cache_clear
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
    forget_published()


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(dedent(text), encoding="utf-8")
    return str(path)


def loaded(text, name="mine.py"):
    return load_kernel(write(name, text))


def called(kernel, case, out=False):
    """y and the gradients; with ``out``, what stands in arrays that were full of NaN."""
    if not out:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        return {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}
    y, *rest = (np.full_like(array, np.nan) for array in (case.x, case.x, case.gamma, case.gamma))
    given = Gradients(*rest)
    returned, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    gradients = kernel.backward(case.dy, saved, out=given)
    assert returned is y
    assert all(a is b for a, b in zip(gradients, given, strict=True))
    return {"y": y, **given._asdict()}


def assert_right(kernel, case, **how):
    own = case.problem.own
    expected = naive.batchnorm(
        own(case.x), case.gamma, case.beta, own(case.dy), case.problem.epsilon, str(case.problem.layout)
    )
    for name, array in called(kernel, case, **how).items():
        ought = case.problem.canonical(expected[name]) if expected[name].ndim > 1 else expected[name]
        np.testing.assert_allclose(array, ought, rtol=1e-9, atol=1e-11, err_msg=name)


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args], env={"COLUMNS": "100"})
    assert result.exit_code == code, (result.output, result.exception)
    return result


def fails(*args, code=2):
    """The one line of a command that prints nothing else."""
    result = run(*args, code=code)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr.strip()


# What a file needs, and what it may have.


@pytest.mark.parametrize("problem", LAYOUTS)
@pytest.mark.parametrize("text", [KERNEL, ROWS], ids=["canonical", "rows"])
def test_two_functions_are_a_kernel(make_case, text, problem):
    kernel = loaded(text)
    assert (kernel.name, kernel.spec, kernel.file) == ("mine", "mine.py", os.path.realpath("mine.py"))
    assert kernel.dtypes == ("float32", "float64")
    assert kernel.infer is None
    assert_right(kernel, make_case(problem))
    assert_right(kernel, make_case(problem), out=True)


@pytest.mark.parametrize("problem", [*LAYOUTS, "1x3x4/channels-first"])
def test_a_kernel_of_rows_sees_contiguous_rows_of_features(make_case, problem):
    case = make_case(problem)
    loaded(ROWS, "rows.py").forward(case.x, case.gamma, case.beta, 1e-5)
    outer, features, inner = case.x.shape
    assert imports.import_file("rows.py").seen == [((outer * inner, features), True, False)]  # as read-only as x is


@pytest.mark.parametrize("problem", LAYOUTS)
def test_rows_are_written_through_out(make_case, problem):
    write("rows.py", ROWS)
    assert_right(loaded(ROWS_OUT), make_case(problem), out=True)


def test_rows_that_are_never_written_stay_what_out_held(make_case):
    case = make_case("6x3x4/channels-first")
    lazy = loaded("ndim = 2\ndef forward(x, g, b, e, out=None): return out, None\n" + BACKWARD)
    y = np.full_like(case.x, np.nan)
    assert lazy.forward(case.x, case.gamma, case.beta, 1e-5, out=y)[0] is y
    assert np.isnan(y).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_out_that_a_function_takes_and_ignores_is_seen(make_case, ndim):
    case = make_case("6x3x4/channels-first")
    kernel = loaded(f"ndim = {ndim}\ndef forward(x, g, b, e, out=None): return x + 1, None\n" + BACKWARD)
    y = np.full_like(case.x, np.nan)
    returned, _ = kernel.forward(case.x, case.gamma, case.beta, 1e-5, out=y)
    assert np.isnan(y).all()
    np.testing.assert_array_equal(returned, case.x + 1)


def test_a_parameter_called_out_may_be_the_users_epsilon(make_case):
    assert_right(loaded(FORWARD.replace("eps", "out") + BACKWARD), make_case("6x5"), out=True)


def test_infer_is_used_if_it_is_there(make_case):
    case = make_case("6x3x4/channels-first")
    mean, var = np.arange(3.0), np.arange(1.0, 4.0)
    expected = naive.infer(case.x, case.gamma, case.beta, mean, var, 0.1, "channels-first")
    column = "def infer(x, g, b, m, v, e): return g[:, None] * (x - m[:, None]) / (v + e)[:, None] ** .5 + b[:, None]\n"
    row = "def infer(x, g, b, m, v, e, out=None): return numpy.add(g * (x - m) / (v + e) ** .5, b, out=out)\n"
    for number, text in enumerate((KERNEL + column, ROWS + "import numpy\n" + row)):
        kernel = guarded(loaded(text, f"mine{number}.py"))
        out = np.full_like(case.x, np.nan)
        np.testing.assert_allclose(kernel.infer(case.x, case.gamma, case.beta, mean, var, 0.1), expected)
        assert kernel.infer(case.x, case.gamma, case.beta, mean, var, 0.1, out=out) is out
        np.testing.assert_allclose(out, expected)


def test_what_is_optional_is_used():
    kernel = loaded('"""The summary.\n\nMore."""\ndtypes = "float32"\ndef set_threads(n): return n + 1\n' + KERNEL)
    assert (kernel.summary, kernel.dtypes, kernel.set_threads(2)) == ("The summary.", ("float32",), 3)
    assert loaded('"""Doc."""\nsummary = "Own"\n' + KERNEL, "own.py").summary == "Own"
    with pytest.raises(Unavailable, match=r"kernel 'gpu.py' cannot run here: no GPU"):
        loaded("def available(): return 'no GPU'\n" + KERNEL, "gpu.py")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before 3.14, the file's own def raises NameError")
def test_what_an_annotation_names_need_not_be_there(make_case):
    assert_right(loaded(KERNEL.replace("(data, ", "(data: imported.for_types.only, ")), make_case("6x5"))


def test_the_names_that_numpy_exports_are_not_taken_for_the_users():
    kernel = loaded("from numpy import *\n" + KERNEL)  # ndim and dtypes among them
    assert kernel.dtypes == Kernel.dtypes


def test_a_file_may_export_a_kernel_object(make_case):
    text = (
        "from bncli.core.kernel import Kernel\nKERNEL = Kernel(forward, backward, dtypes=('float64',), summary='S')\n"
    )
    kernel = loaded(KERNEL + text)
    assert (kernel.name, kernel.dtypes, kernel.summary) == ("mine", ("float64",), "S")
    assert_right(kernel, make_case("6x5"), out=True)


def test_a_module_or_another_namespace_is_a_kernel(make_case):
    class Mine:
        """Two functions."""

    names = {}
    exec(KERNEL, names)  # noqa: S102, the text above
    Mine.forward, Mine.backward = staticmethod(names["forward"]), staticmethod(names["backward"])
    write("deep/mine.py", KERNEL)
    for namespace, name in ((Mine, "Mine"), (imports.import_named("deep.mine"), "mine")):
        kernel = as_kernel(namespace)
        assert (kernel.name, kernel.spec) == (name, "")
        assert_right(kernel, make_case("6x5"))
    with pytest.raises(
        InputError, match=r"^cannot load 'json' as a kernel: there is no forward and no backward in it: "
    ):
        as_kernel(json)


def test_a_compiled_function_need_not_say_what_it_takes(make_case):
    write(
        "mine.py",
        "import ctypes, types\nfrom bncli.kernels import numpy as own\nkept = []\n"
        "def compiled(function, count):\n"
        "    kind = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.py_object] * count)\n"
        "    return kind(lambda *given: kept.append(function(*given)) or kept[-1])\n"
        "forward, backward = compiled(own.forward, 4), compiled(own.backward, 2)\n",
    )
    kernel = load_kernel("mine.py")
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(sys.modules[import_of("mine.py")].forward)
    assert_right(kernel, make_case("6x5"))


def import_of(path):
    return imports.import_file(path).__name__


# What is malformed.

MALFORMED = {
    "x = 1\ndef f(:\n": "it raised SyntaxError: invalid syntax (mine.py, line 2)",
    "x = 1\n\n1 / 0\n": "it raised ZeroDivisionError: division by zero (mine.py, line 3)",
    "import sys\nsys.exit('no')\n": "it raised SystemExit: no (mine.py, line 2)",
    "class Odd(Exception): pass\nraise Odd\n": "it raised Odd (mine.py, line 2)",
    "raise ValueError('one\\n  two')\n": "it raised ValueError: one two (mine.py, line 1)",
    "import no_such_thing\n": "it raised ModuleNotFoundError: No module named 'no_such_thing' (mine.py, line 1)",
    "": "there is no forward and no backward in it: a kernel needs forward(x, gamma, beta, epsilon) and "
    "backward(dy, saved); bncli kernels --template prints one to start from",
    FORWARD: "there is no backward in it: a kernel needs",
    BACKWARD: "there is no forward in it: a kernel needs",
    "KERNEL = {}\n" + KERNEL: "there is no forward and no backward in it",
    "forward = 'x'\n" + BACKWARD: "its forward is of type str, not a function",
    "backward = None\n" + FORWARD: "its backward is of type NoneType, not a function",
    "def forward(x, gamma, beta): pass\n" + BACKWARD: "its forward cannot be called as "
    "forward(x, gamma, beta, epsilon): too many positional arguments",
    "def forward(x, g, b, e, *, out): pass\n" + BACKWARD: "its forward cannot be called as "
    "forward(x, gamma, beta, epsilon): missing a required ",
    "def backward(x, dy, saved): pass\n" + FORWARD: "its backward cannot be called as backward(dy, saved): "
    "missing a required argument: 'saved'",
    "def infer(x): pass\n" + KERNEL: "its infer cannot be called as infer(x, gamma, beta, mean, var, epsilon): too",
    "ndim = 4\n" + KERNEL: "its ndim is 4: use 3 for (outer, feature, inner), or 2 for (rows, features)",
    "ndim = '2'\n" + KERNEL: "its ndim is '2': use 3",
    "dtypes = 'float8'\n" + KERNEL: "its dtypes hold 'float8', which is none of float16, ",
    "dtypes = ['float32', 'int8']\n" + KERNEL: "its dtypes hold 'int8', which is none of float16, ",
    "dtypes = ()\n" + KERNEL: "its dtypes are (): name one or more of float16, ",
    "dtypes = 32\n" + KERNEL: "its dtypes are 32: name one or more of float16, ",
    "summary = 5\n" + KERNEL: "its summary is 5: write a text",
    "available = True\n" + KERNEL: "its available is of type bool, not a function",
    "available = lambda: True\n" + KERNEL: "its available returned True: return what is missing, or None",
    "available = lambda: 1 / 0\n" + KERNEL: "it raised ZeroDivisionError: division by zero (mine.py, line 1)",
    "set_threads = 4\n" + KERNEL: "its set_threads is of type int, not a function",
}


@pytest.mark.parametrize(("text", "why"), MALFORMED.items(), ids=MALFORMED.values())
def test_a_malformed_file_is_one_line(text, why):
    write("mine.py", text)
    line = fails("forward", "--kernel", "mine.py")
    assert line.startswith(f"bncli: error: cannot load 'mine.py' as a kernel: {why}")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("nothing.py", "there is no such file"),
        ("./mine", "there is no such file"),
        ("folder/", "it is a folder: name a .py file in it"),
        ("pipe.py", "it is no regular file"),
        (f"{300 * 'x'}.py", "it cannot be read: File name too long"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(spec, why):
    os.mkdir("folder")
    os.mkfifo("pipe.py")
    assert fails("forward", "--kernel", spec) == f"bncli: error: cannot load {spec!r} as a kernel: {why}"


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("KeyboardInterrupt", 130, "bncli: interrupted"),
        ("MemoryError", 2, "bncli: error: the memory does not suffice: use a smaller --shape or fewer --kernel"),
    ],
)
def test_what_ends_bncli_while_a_file_is_loaded_is_not_the_files_fault(raised, code, said):
    write("mine.py", f"raise {raised}\n" + KERNEL)
    assert run("forward", "--kernel", "mine.py", code=code).stderr.strip() == said


def test_a_syntax_error_beside_the_file_names_its_own_line():
    write("helper.py", "x = 1\ny =\n")
    write("mine.py", "import helper\n" + KERNEL)
    why = "it raised SyntaxError: invalid syntax (helper.py, line 2)"
    assert fails("forward", "--kernel", "mine.py") == f"bncli: error: cannot load 'mine.py' as a kernel: {why}"


def test_a_message_of_pages_is_cut():
    with pytest.raises(InputError, match=r"^.{350,450}$") as caught:
        loaded("raise ValueError('pages ' * 1000)")
    assert str(caught.value).endswith(" … (mine.py, line 1)")


def test_a_broken_file_is_tried_again_once_it_is_mended(make_case):
    with pytest.raises(InputError, match="SyntaxError"):
        loaded("def")
    assert_right(loaded(KERNEL), make_case("6x5"))


def test_control_characters_in_a_files_name_are_not_passed_on():
    assert "\x1b" not in fails("forward", "--kernel", "evil\x1b[31m.py")
    write("evil\x1b[31m.py", KERNEL)
    result = run("forward", *SMALL, "--kernel", "evil\x1b[31m.py")
    assert "evil\\x1b" in result.stdout
    assert "\x1b[31m" not in result.output


# How a file is run.


def test_a_file_is_run_once_and_leaves_nothing_behind():
    write("mine.py", "import numpy\nloads = getattr(numpy, '_loads', 0) + 1\nnumpy._loads = loads\n" + KERNEL)
    try:
        load_kernel("mine.py")
        load_kernel("./mine.py")
        assert np._loads == 1
    finally:
        del np._loads
    assert os.listdir() == ["mine.py"]


def test_a_stale_compiled_file_is_not_run_in_its_stead():
    write("mine.py", "summary = 'old'\n" + KERNEL)
    py_compile.compile("mine.py")
    before = os.stat("mine.py")
    write("mine.py", "summary = 'new'\n" + KERNEL)
    os.utime("mine.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_kernel("mine.py").summary == "new"


def test_a_file_may_import_what_lies_beside_it_early_and_late(make_case):
    write("my kernels/helper.py", KERNEL)
    write("my kernels/later.py", BACKWARD)
    text = (
        "from helper import forward\ndef backward(dy, saved):\n    import later\n    return later.backward(dy, saved)\n"
    )
    assert_right(loaded(text, "my kernels/mine v1.py"), make_case("6x5"))
    assert load_kernel("my kernels/mine v1.py").name == "mine v1"


def test_two_versions_of_a_file_each_import_their_own_neighbour():
    for version in ("v1", "v2"):
        write(f"{version}/helper.py", f"version = {version!r}\n")
        write(f"{version}/deep/er.py", f"version = {version!r}\n")
        write(f"{version}/mine.py", f"import helper, deep.er\nsummary = helper.version + deep.er.version\n{KERNEL}")
    assert [load_kernel(f"{version}/mine.py").summary for version in ("v1", "v2")] == ["v1v1", "v2v2"]


def test_what_lies_beside_a_file_does_not_stand_in_for_python_afterwards(monkeypatch):
    write("colorsys.py", "beside = True\n")
    write("mine.py", "import colorsys\nassert colorsys.beside\n" + KERNEL)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    load_kernel("mine.py")
    del sys.modules["colorsys"]  # not by monkeypatch, which would put the user's back
    import colorsys

    assert not hasattr(colorsys, "beside")


def test_a_file_finds_its_own_module():
    loaded(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport pickle\n"
        "@dataclass\nclass Kept:\n    x: int\nassert pickle.loads(pickle.dumps(Kept(3))) == Kept(3)\n" + KERNEL
    )


@pytest.mark.compiled
def test_numbas_cache_works_in_a_file(monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", os.path.realpath("cache"))
    loaded("import numba\n@numba.njit(cache=True)\ndef double(a): return a + a\n" + KERNEL)
    assert imports.import_file("mine.py").double(3) == 6
    assert list(Path("cache").rglob("*double*.nbi"))


def test_what_a_file_prints_and_warns_of_leaves_stdout_to_data():
    write("mine.py", f"import warnings\nprint('loading')\nwarnings.warn('old')\n{KERNEL}")
    result = run("forward", *SMALL, "--kernel", "mine.py", "--format", "csv")
    assert result.stdout.startswith("problem,") or result.stdout.startswith("kernel,")
    assert "loading" not in result.stdout
    assert result.stderr == "loading\n"


# Names and modules.


def test_a_module_of_the_current_folder_or_a_package_is_a_kernel(make_case):
    write("mine.py", KERNEL)
    write("pack/__init__.py", "")
    write("pack/deep.py", "from .part import forward, backward\n")
    write("pack/part.py", KERNEL)
    for spec, name in (("mine", "mine"), ("pack.deep", "deep"), ("bncli.kernels.numpy", "numpy")):
        kernel = load_kernel(spec)
        assert (kernel.name, kernel.spec) == (name, spec)
        assert_right(kernel, make_case("6x5"))


def test_a_built_in_name_wins_over_a_module(make_case):
    write("numpy.py", KERNEL)
    assert load_kernel("numpy").file == plugins.load("bncli.kernels", "numpy").__file__
    assert load_kernel("./numpy.py").file == os.path.realpath("numpy.py")


@pytest.mark.parametrize("spec", ["folder", "no.such", "json.decoder.no", "a..b", ".", "", "sys"])
def test_a_name_that_nothing_has_is_unknown(spec):
    os.mkdir("folder")
    known = ", ".join(kernel_names())
    assert fails("forward", "--kernel", spec) == f"bncli: error: no kernel is called {spec!r}: there are: {known}"


def test_an_unknown_name_tells_the_nearest():
    assert fails("gradcheck", "--kernel", "nunpy") == (
        "bncli: error: no kernel is called 'nunpy': did you mean 'numpy'?"
    )


def test_a_module_that_misses_another_is_not_said_to_be_unknown():
    write("mine.py", "x = 1\nimport no_such_thing\n")
    why = "it raised ModuleNotFoundError: No module named 'no_such_thing' (mine.py, line 2)"
    assert fails("forward", "--kernel", "mine") == f"bncli: error: cannot load 'mine' as a kernel: {why}"


def test_kernels_of_one_name_are_told_apart_by_where_they_are():
    for folder in ("a", "b"):
        write(f"{folder}/mine.py", KERNEL)
    specs = ("a/mine.py", "b/mine.py", "numpy", "bncli.kernels.numpy")
    result = run("forward", *SMALL, *(word for spec in (*specs, *specs) for word in ("--kernel", spec)))
    names = [line.split()[0] for line in result.stdout.splitlines() if " y " in line]
    assert names == list(specs)


# Entry points.


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """publish("name = module:object", module=text) installs a package that publishes these."""

    def make(*points, **modules):
        home = tmp_path / "site"
        content = "\n".join(["[bncli.kernels]", *points])
        write(home / "fake-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
        write(home / "fake-1.0.dist-info" / "entry_points.txt", content)
        for name, text in modules.items():
            write(home / f"{name}.py", text)
        monkeypatch.syspath_prepend(home)
        plugins.published.cache_clear()

    return make


def test_a_published_kernel_is_registered(publish, make_case):
    export = "\nfrom bncli.core.kernel import Kernel\nimport types\n"
    publish(
        "fast = fake_fast",
        "slow = fake_fast:own",
        "odd = fake_fast:space",
        fake_fast='"""Fast."""\n' + KERNEL + export + "own = Kernel(forward, backward, summary='Slow.')\n"
        "space = types.SimpleNamespace(forward=forward, backward=backward)\n",
    )
    for name, summary in (("fast", "Fast."), ("slow", "Slow."), ("odd", "Fast.")):
        kernel = load_kernel(name)
        assert (kernel.name, kernel.spec, kernel.summary) == (name, name, summary)
        assert os.path.basename(kernel.file) == "fake_fast.py"
        assert_right(kernel, make_case("6x5"))
    assert kernel_names() == (*plugins.names("bncli.kernels"), "fast", "odd", "slow")
    assert "did you mean 'slow'?" in fails("forward", "--kernel", "slwo")
    with pytest.raises(InputError, match="no kernel is called 'slwo': did you mean 'slow'"):
        registered_kernel("slwo")
    write("mine.toml", 'kernel = "fast"\n')
    assert "fast" in run("forward", *SMALL, "--preset", "mine.toml").stdout


BROKEN = {
    "gone = fake_gone": "cannot load 'fake_gone' as a kernel: it raised ModuleNotFoundError: No module",
    "less = fake_empty:A": "cannot load 'fake_empty:A' as a kernel: it raised AttributeError: module 'fake_empty'",
    "bare = fake_empty": "cannot load 'fake_empty' as a kernel: there is no forward and no backward in it",
    "cruel = fake_cruel": "cannot load 'fake_cruel' as a kernel: it raised SystemExit: 1 (fake_cruel.py, line 2)",
    "gpu = fake_gpu": "no GPU",
}


@pytest.mark.parametrize(("point", "why"), BROKEN.items(), ids=BROKEN.values())
def test_a_broken_entry_point_is_not_available_and_breaks_nothing(publish, point, why):
    publish(
        point,
        fake_empty="",
        fake_cruel="import sys\nsys.exit(1)\n",
        fake_gpu="available = lambda: 'no GPU'\n" + KERNEL,
    )
    name = point.partition(" ")[0]
    assert registered_kernel(name).available().startswith(why)
    rows = json.loads(run("kernels", "--format", "json").stdout)["rows"]
    assert next(row["available"] for row in rows if row["kernel"] == name).startswith(why)
    assert fails("forward", "--kernel", name, code=3).startswith(
        f"bncli: error: kernel {name!r} cannot run here: {why}"
    )
    with pytest.raises((Unavailable, IndexError)):
        registered_kernel(name).forward(*np.ones((3, 1)), 0)
    left_out = run("forward", "--shape", "5x40", "--kernel", "all").stderr
    assert f"warning: kernel {name!r} is left out: {why}" in left_out


def test_a_built_in_name_is_never_taken_over(publish):
    publish("numpy = fake_numpy", fake_numpy=KERNEL)
    assert kernel_names() == plugins.names("bncli.kernels")
    assert load_kernel("numpy").file == plugins.load("bncli.kernels", "numpy").__file__


def test_entry_points_are_looked_for_only_when_needed(monkeypatch):
    def refuse(group):
        raise AssertionError("looked for entry points")

    monkeypatch.setattr(plugins, "published", refuse)
    write("mine.py", KERNEL)
    assert load_kernel("numpy").name == "numpy"
    assert load_kernel("mine.py").name == "mine"
    with pytest.raises(AssertionError, match="looked for"):
        load_kernel("anything")


# A kernel that is wrong in what it does, not in what it is.

FAULTS = {
    "def forward(x, g, b, e):\n    1 / 0\n": "forward raised ZeroDivisionError: division by zero (mine.py, line 2)",
    "def forward(*a): f()\ndef f():\n    raise SystemExit(3)\n": "forward raised SystemExit: 3 (mine.py, line 3)",
    "import numpy\ndef forward(x, g, b, e):\n\n    numpy.linalg.inv(x)\n": "forward raised LinAlgError: "
    "Last 2 dimensions of the array must be square (mine.py, line 4)",
    "def forward(x, g, b, e): return x\n": "forward returned one value, not two: return y and saved",
    "def forward(x, g, b, e): pass\n": "forward returned nothing, not two: return y and saved",
    "def forward(x, g, b, e): return x, 1, 2, 3\n": "forward returned 4 values, not two: return y and saved",
    "def forward(x, g, b, e): return 1.5, None\n": "y is of type float, not a NumPy array",
    "def forward(x, g, b, e): return x[0], None\n": "y has shape (48, 1), expected (5, 48, 1)",
    "ndim = 2\ndef forward(x, g, b, e): return x[1:], None\n": "y has shape (4, 48), expected (5, 48)",
    "def forward(x, g, b, e, out=None): return x[0], None\n": "y has shape (48, 1), expected (5, 48, 1)",
    "def forward(x, g, b, e): return x.astype('O'), None\n": "y holds object, not numbers: return it in the dtype of x",
    "import numpy\ndef forward(*a): return numpy.ma.array(a[0]), 0\n": "y is of type MaskedArray, not a NumPy array",
    "def forward(x, g, b, e): return x.astype('U5'), None\n": "y holds <U5, not numbers: return it in the dtype of x",
}
BACKWARD_FAULTS = {
    "def backward(dy, s):\n    raise KeyError('k')\n": "backward raised KeyError: 'k' (mine.py, line 2)",
    "def backward(dy, s): return dy\n": "backward returned one value, not three: return dx, dgamma and dbeta",
    "def backward(dy, s): return dy, dy\n": "backward returned two values, not three: return dx, dgamma and dbeta",
    "def backward(dy, s): return dy[0], dy, dy\n": "dx has shape (48, 1), expected (5, 48, 1)",
    "def backward(dy, s): return dy, dy[0], dy\n": "dgamma has shape (48, 1), expected (48,)",
    "def backward(dy, s): return dy, dy[0, :, 0], [1, 2]\n": "dbeta is of type list, not a NumPy array",
    "ndim = 2\ndef backward(dy, s): return dy.T, dy, dy\n": "dx has shape (48, 5), expected (5, 48)",
}


def fault(call, *args):
    with pytest.raises(KernelFault) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("text", "why"), FAULTS.items(), ids=FAULTS.values())
def test_what_forward_does_wrong_is_one_line(make_case, text, why):
    case, kernel = make_case("5x4x4x3"), guarded(loaded(text + BACKWARD))
    assert fault(kernel.forward, case.x, case.gamma, case.beta, 1e-5) == f"kernel 'mine': {why}"


@pytest.mark.parametrize(("text", "why"), BACKWARD_FAULTS.items(), ids=BACKWARD_FAULTS.values())
def test_what_backward_does_wrong_is_one_line(make_case, text, why):
    case, kernel = make_case("5x4x4x3"), guarded(loaded(text + "def forward(x, g, b, e): return x, None\n"))
    _, saved = kernel.forward(case.x, case.gamma, case.beta, 1e-5)
    assert fault(kernel.backward, case.dy, saved) == f"kernel 'mine': {why}"


def test_what_infer_and_set_threads_do_wrong_is_one_line(make_case):
    case = make_case("5x3")
    kernel = guarded(loaded("def infer(*a): return a\ndef set_threads(n): 1 / 0\n" + KERNEL))
    arguments = (case.x, case.gamma, case.beta, case.gamma, case.gamma, 1)
    assert fault(kernel.infer, *arguments) == "kernel 'mine': y is of type tuple, not a NumPy array"
    line = fault(kernel.set_threads, 2)
    assert line == "kernel 'mine': set_threads raised ZeroDivisionError: division by zero (mine.py, line 2)"
    kernel = guarded(loaded("def set_threads(n): return str(n)\n" + KERNEL, "threads.py"))
    line = fault(kernel.set_threads, 2)
    assert line == "kernel 'threads': set_threads returned '2': return the number before, or None"


def test_a_fault_in_what_a_file_imports_names_the_line_that_called_it(make_case):
    case = make_case("5x3")
    write("helper.py", "def f():\n\n    1 / 0\n")
    kernel = guarded(loaded("import helper\ndef forward(x, g, b, e):\n    helper.f()\n" + BACKWARD))
    assert fault(kernel.forward, case.x, case.gamma, case.beta, 1).endswith("division by zero (mine.py, line 3)")
    kernel = guarded(
        loaded("from helper import f\ndef forward(x, g, b, e): f()\nforward = lambda *a, g=f: g()\n" + BACKWARD, "m.py")
    )
    assert fault(kernel.forward, case.x, case.gamma, case.beta, 1).endswith("division by zero (m.py, line 3)")


def test_a_kernel_without_a_file_names_that_of_its_function(make_case):
    case = make_case("5x3")

    def forward(x, gamma, beta, epsilon):
        raise OSError("gone")

    kernel = guarded(Kernel(forward, forward, name="own"))
    line = forward.__code__.co_firstlineno + 1
    assert fault(kernel.forward, case.x, case.gamma, case.beta, 1) == (
        f"kernel 'own': forward raised OSError: gone (test_external.py, line {line})"
    )
    # A function in C has no line at all.
    kernel = guarded(Kernel(np.linalg.inv, np.linalg.inv, name="own"))
    assert "forward raised TypeError" in fault(kernel.forward, case.x, case.gamma, case.beta, 1)


def test_a_registered_kernels_fault_names_its_own_line(make_case):
    case = make_case("5x3")
    line = fault(guarded(load_kernel("numpy")).forward, case.x, case.gamma[1:], case.beta, 1e-5)
    assert line.startswith("kernel 'numpy': forward raised ValueError: ")
    assert "(numpy.py, line " in line


def test_being_guarded_twice_changes_nothing(make_case):
    case = make_case("5x3")
    once = guarded(Kernel(lambda *a: a[0], lambda *a: a, name="own"))
    lines = {fault(kernel.forward, case.x, case.gamma, case.beta, 1) for kernel in (once, guarded(once))}
    assert lines == {"kernel 'own': forward returned one value, not two: return y and saved"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_some_errors_are_not_the_kernels(make_case, error):
    case = make_case("5x3")

    def stop(*arguments):
        raise error

    with pytest.raises(type(error)) as caught:
        guarded(Kernel(stop, stop)).forward(case.x, case.gamma, case.beta, 1)
    assert caught.value is error


def test_an_error_of_bnclis_own_is_the_kernels_but_for_a_number_of_threads(make_case):
    case = make_case("5x3")

    def stop(*arguments):
        raise InputError("give fewer")

    kernel = guarded(Kernel(stop, stop, set_threads=stop, name="own"))
    line = fault(kernel.forward, case.x, case.gamma, case.beta, 1)
    assert line.startswith("kernel 'own': forward raised InputError: give fewer (test_external.py, line ")
    with pytest.raises(InputError, match=r"^give fewer$"):
        kernel.set_threads(2)


def test_a_guarded_kernel_is_quiet_and_copies_nothing(make_case, capsys):
    case = make_case("5x3")

    def forward(x, gamma, beta, epsilon, *, out=None):
        print("hello")  # noqa: T201, what a user's kernel may do
        warnings.warn("old", stacklevel=1)
        return np.divide(x, 0.0, out=out), gamma

    kernel = guarded(Kernel(forward, lambda dy, saved, out=None: (dy, saved, saved)))
    out = np.empty_like(case.x)
    with np.errstate(all="raise"):
        y, saved = kernel.forward(case.x, case.gamma, case.beta, 1, out=out)
        gradients = kernel.backward(case.dy, saved)
    assert (y is out, saved is case.gamma, gradients.dx is case.dy) == (True, True, True)
    assert capsys.readouterr() == ("", "hello\n")


def test_an_array_of_two_is_one_value(make_case):
    case = make_case("2x3")
    kernel = guarded(Kernel(lambda x, *rest: x, lambda *a: a, name="own"))
    assert "forward returned one value, not two" in fault(kernel.forward, case.x, case.gamma, case.beta, 1)


# On the command line.


def test_the_template_passes_gradcheck_everywhere():
    write("template.py", run("kernels", "--template").stdout)
    for layout in ("per-activation", "channels-last", "channels-first"):
        for dtype in ("float32", "float64"):
            found = run("gradcheck", "--kernel", "template.py", *SMALL, "--layout", layout, "--dtype", dtype)
            assert found.stderr == ""


def test_the_template_is_a_file_to_start_from(make_case):
    text = run("kernels", "--template", "--format", "json").stdout
    assert text.count("\n") <= 30
    kernel = loaded(text)
    assert kernel.summary == "My batch normalization: this line is what reports call it."
    single = make_case("6x5/per-activation/float32/eps=0.001")
    assert {array.dtype for array in called(kernel, single).values()} == {np.dtype("float32")}
    assert_right(kernel, make_case("6x3x4/channels-first"))


@pytest.mark.slow
def test_a_real_process_checks_a_file():
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = (
        f"'{sys.executable}' -W error -m bncli kernels --template > template.py && "
        f"'{sys.executable}' -W error -m bncli gradcheck --shape 5x4 --kernel template.py"
    )
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASS" in done.stdout
    assert os.listdir() == ["template.py"]


def test_a_kernel_that_raises_is_a_failed_check():
    write("mine.py", "def forward(x, g, b, e): 1 / 0\n" + BACKWARD)
    result = run("gradcheck", *SMALL, "--kernel", "mine.py", "--kernel", "numpy", code=1)
    assert "forward raised ZeroDivisionError" in " ".join(result.stdout.split())


def test_a_wrong_file_is_rejected():
    write("mine.py", KERNEL.replace("- x_hat * (", "- 1.001 * x_hat * ("))
    assert "mine: dx is WRONG" in run("gradcheck", *SMALL, "--kernel", "mine.py", code=1).stderr


def test_a_preset_cannot_run_a_file():
    write("mine.py", "open('ran', 'w')\n" + KERNEL)
    write("sub/mine.py", "open('ran', 'w')\n" + KERNEL)
    for kernel in ("mine.py", "sub/mine.py", "sub.mine"):
        write("own.toml", f'kernel = ["numpy", "{kernel}"]\n')
        assert fails("forward", "--preset", "own.toml") == (
            f"bncli: error: kernel {kernel!r}: a preset cannot run a file's code: type it on the command line"
        )
    write("own.toml", 'kernel = "mine"\n')
    assert "no kernel is called 'mine': there are: " in fails("forward", "--preset", "own.toml")
    write("own.toml", 'kernel = "nunpy"\n')
    assert fails("forward", "--preset", "own.toml").endswith("no kernel is called 'nunpy': did you mean 'numpy'?")
    assert not os.path.exists("ran")
    run("forward", *SMALL, "--preset", "own.toml", "--kernel", "mine.py")
    assert os.path.exists("ran")


def test_a_preset_may_ask_for_all():
    write("own.toml", 'kernel = "all"\n')
    assert "numpynet" in run("forward", *SMALL, "--preset", "own.toml").stdout


def test_all_leaves_out_what_does_not_take_the_dtype(publish):
    publish("half = fake_half", fake_half="dtypes = 'float16'\n" + KERNEL)
    result = run("forward", *SMALL, "--kernel", "all", "--dtype", "float64")
    assert "warning: kernel 'half' is left out: it does not take float64\n" in result.stderr
    assert "reference" in result.stdout


def test_all_of_nothing_is_an_error(monkeypatch):
    for name in kernel_names():
        kernel = replace(registered_kernel(name), dtypes=("float16",))
        monkeypatch.setattr(plugins.load("bncli.kernels", name), "KERNEL", kernel)
    line = run("forward", *SMALL, "--kernel", "all", code=2).stderr.splitlines()[-1]
    assert line == "bncli: error: no registered kernel takes float64 here: see bncli kernels"


def test_help_says_that_a_files_code_is_run():
    text = " ".join(run("forward", "--help").stdout.split())
    assert "--kernel NAME|FILE.py|MODULE" in text
    assert "whose code is run" in text


def test_names_are_completed_and_then_files(monkeypatch):
    def complete(word, option="--kernel "):
        environment = {
            "_BNCLI_COMPLETE": "bash_complete",
            "COMP_WORDS": f"bncli forward {option}{word}",
            "COMP_CWORD": str(2 + len(option.split())),
        }
        return CliRunner().invoke(main, [], env=environment, prog_name="bncli").stdout.split()

    for option in ("--kernel ", "-k ", "", "numpy "):
        assert complete("ref", option) == ["plain,reference"]
        assert complete("mi", option) == ["file,mi"]


# Styles: each wraps what somebody has already.

LAYER = """
import numpy as np
class Layer:
    epsil = 1e-8
    def __init__(self, scales, bias):
        self.scales, self.bias = scales, bias
    def forward(self, inpt):
        self.inpt, self.mean = inpt, inpt.mean(axis=0)
        self.var = 1 / np.sqrt(inpt.var(axis=0) + self.epsil)
        self.x_norm = (inpt - self.mean) * self.var
        self.output = self.x_norm * self.scales + self.bias
    def backward(self, delta):
        self.bias_updates, self.scales_updates = self.delta.sum(0), (self.delta * self.x_norm).sum(0)
        dx_hat = self.delta * self.scales
        delta[:] = (dx_hat - dx_hat.mean(0) - self.x_norm * (dx_hat * self.x_norm).mean(0)) * self.var
"""
WRAPPED = """
from layer import Layer
import numpy as np
ndim = 2
def forward(x, gamma, beta, epsilon):
    layer = Layer(gamma, beta)
    layer.epsil = epsilon
    layer.forward(inpt=x)
    return layer.output, layer
def backward(dy, layer):
    layer.delta, delta = dy, np.empty_like(dy)
    layer.backward(delta)
    return delta, layer.scales_updates, layer.bias_updates
"""
CHAIN = """
import numpy as np
def forward(x, gamma, beta, epsilon):
    n = x.shape[0] * x.shape[2]
    mu = x.sum((0, 2), keepdims=True) / n
    xmu = x - mu
    var = (xmu ** 2).sum((0, 2), keepdims=True) / n
    sqrtvar = np.sqrt(var + epsilon)
    return gamma[:, None] * xmu / sqrtvar + beta[:, None], (n, xmu, sqrtvar, gamma[:, None])
def backward(dout, cache):
    n, xmu, sqrtvar, gamma = cache
    dxhat = dout * gamma
    divar = (dxhat * xmu).sum((0, 2), keepdims=True)
    dvar = 0.5 / sqrtvar * (-divar / sqrtvar ** 2)
    dx1 = dxhat / sqrtvar + 2 * xmu * dvar / n
    dmu = -dx1.sum((0, 2), keepdims=True)
    return dx1 + dmu / n, (dout * xmu / sqrtvar).sum((0, 2)), dout.sum((0, 2))
"""
TORCH = """
import torch
def forward(x, gamma, beta, epsilon):
    inputs = [torch.tensor(array, requires_grad=True) for array in (x, gamma, beta)]
    y = torch.nn.functional.batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=epsilon)
    return y.detach().numpy(), (y, inputs)
def backward(dy, saved):
    y, inputs = saved
    return [grad.numpy() for grad in torch.autograd.grad(y, inputs, torch.tensor(dy))]
"""


@pytest.mark.parametrize("problem", LAYOUTS)
@pytest.mark.parametrize("style", ["layer", "chain rule", "torch"])
def test_any_style_of_kernel_gives_right_numbers(make_case, style, problem):
    if style == "torch":
        pytest.importorskip("torch", reason="the wrapper of PyTorch's autograd needs PyTorch")
    write("layer.py", LAYER)
    text = {"layer": WRAPPED, "chain rule": CHAIN, "torch": TORCH}[style]
    assert_right(loaded(text), make_case(problem))
    assert_right(loaded(text), make_case(problem), out=True)
    assert run("gradcheck", "--kernel", "mine.py", "--shape", problem).stderr == ""
