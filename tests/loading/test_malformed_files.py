"""A malformed file is one line."""

import os

import pytest

from bncli.errors import InputError
from command_line import run
from user_files import BACKWARD, FORWARD, KERNEL, SMALL, assert_right, fails, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

MALFORMED = {
    "x = 1\ndef f(:\n": "it raised SyntaxError: invalid syntax (mine.py, line 2)",
    "x = 1\n\n1 / 0\n": "it raised ZeroDivisionError: division by zero (mine.py, line 3)",
    "import sys\nsys.exit('no')\n": "it raised SystemExit: no (mine.py, line 2)",
    "class Odd(Exception): pass\nraise Odd\n": "it raised Odd (mine.py, line 2)",
    "raise ValueError('one\\n  two')\n": "it raised ValueError: one two (mine.py, line 1)",
    "import no_such_thing\n": "it raised ModuleNotFoundError: No module named 'no_such_thing' (mine.py, line 1)",
    "": "it has no forward and no backward: a kernel needs forward(x, gamma, beta, epsilon) and "
    "backward(dy, saved); bncli kernels --template prints one to start from",
    BACKWARD: "it has no forward: a kernel needs",
    "KERNEL = {}\n" + KERNEL: "it has no forward and no backward",
    "forward = 'x'\n" + BACKWARD: "its forward is of type str, not a function",
    "backward = 3\n" + FORWARD: "its backward is of type int, not a function",
    "def forward(x, gamma, beta): pass\n" + BACKWARD: "its forward cannot be called as "
    "forward(x, gamma, beta, epsilon): too many positional arguments",
    "def forward(x, g, b, e, *, out): pass\n" + BACKWARD: "its forward cannot be called as "
    "forward(x, gamma, beta, epsilon): missing a required ",
    "def backward(x, dy, saved): pass\n" + FORWARD: "its backward cannot be called as backward(dy, saved): "
    "missing a required argument: 'saved'",
    "def infer(x): pass\n" + KERNEL: "its infer cannot be called as infer(x, gamma, beta, mean, var, epsilon): too",
    "ndim = 6\n" + KERNEL: "its ndim is 6: use 2 for (rows, features), 3 for (outer, feature, inner), 4 for (N, C, ",
    "ndim = '2'\n" + KERNEL: "its ndim is '2': use 2",
    "arrays = 'tensorflow'\n" + KERNEL: "its arrays are 'tensorflow': use one of jax, numpy, torch",
    "dtypes = 'float8'\n" + KERNEL: "its dtypes hold 'float8', which is not one of float16, ",
    "dtypes = ['float32', 'int8']\n" + KERNEL: "its dtypes hold 'int8', which is not one of float16, ",
    "dtypes = ()\n" + KERNEL: "its dtypes are (): list one or more of float16, ",
    "dtypes = 32\n" + KERNEL: "its dtypes are 32: list one or more of float16, ",
    "summary = 5\n" + KERNEL: "its summary is 5, not a text",
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
        ("pipe.py", "it is not a regular file"),
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
        ("MemoryError", 2, "bncli: error: out of memory: use a smaller --shape or fewer --kernel"),
    ],
)
def test_what_ends_bncli_while_a_file_is_loaded_is_not_the_files_fault(raised, code, said):
    write("mine.py", f"raise {raised}\n" + KERNEL)
    assert run("forward", "--kernel", "mine.py", code=code).stderr.strip() == said


def test_a_syntax_error_of_an_imported_file_names_its_own_line():
    write("helper.py", "x = 1\ny =\n")
    write("mine.py", "import helper\n" + KERNEL)
    why = "it raised SyntaxError: invalid syntax (helper.py, line 2)"
    assert fails("forward", "--kernel", "mine.py") == f"bncli: error: cannot load 'mine.py' as a kernel: {why}"


def test_a_message_of_pages_is_cut():
    with pytest.raises(InputError, match=r"^.{350,450}$") as caught:
        loaded("raise ValueError('pages ' * 1000)")
    assert str(caught.value).endswith(" … (mine.py, line 1)")


def test_a_broken_file_is_loaded_again_once_it_is_repaired(make_case):
    with pytest.raises(InputError, match="SyntaxError"):
        loaded("def")
    assert_right(loaded(KERNEL), make_case("6x5"))


def test_control_characters_in_a_files_name_are_not_passed_on():
    assert "\x1b" not in fails("forward", "--kernel", "evil\x1b[31m.py")
    write("evil\x1b[31m.py", KERNEL)
    result = run("forward", *SMALL, "--kernel", "evil\x1b[31m.py")
    assert "evil\\x1b" in result.stdout
    assert "\x1b[31m" not in result.output
