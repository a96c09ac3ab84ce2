"""A kernel that is wrong in what it does is one line that names the place."""

import warnings

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.errors import InputError, KernelFault
from bncli.loading.guard import guarded
from bncli.loading.registry import load_kernel
from user_files import BACKWARD, KERNEL, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

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
        f"kernel 'own': forward raised OSError: gone (test_kernel_faults.py, line {line})"
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
    assert line.startswith("kernel 'own': forward raised InputError: give fewer (test_kernel_faults.py, line ")
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
