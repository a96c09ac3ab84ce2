"""A kernel from a file: what it needs, and what it may have."""

import inspect
import json
import os
import sys

import numpy as np
import pytest

import naive
from bncli.core.kernel import Kernel
from bncli.errors import InputError, Unavailable
from bncli.loading import imports
from bncli.loading.guard import guarded
from bncli.loading.registry import load_kernel
from bncli.loading.user_code import as_kernel
from user_files import BACKWARD, FORWARD, KERNEL, LAYOUTS, assert_right, loaded, write

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
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


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
    with pytest.raises(InputError, match=r"^cannot load 'json' as a kernel: it has no forward and no backward: "):
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
