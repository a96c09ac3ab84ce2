"""Kernels that break their process: each is one line, and the others go on."""

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from bncli.errors import InputError, KernelLost, Unavailable
from bncli.isolation.process import MOST_ENDS
from breaking_kernels import RIGHT, SMALL, call_forward, invoke, threads_used, write

# What a forward does first, and what must be said of it.
BREAKING = {
    "exits": ("import os; os._exit(3)", "it ended its process, with status 3"),
    "leaves": ("import os; os._exit(0)", "it ended its process, with status 0"),
    "aborts": ("import os; os.abort()", "its process was ended by SIGABRT (aborted) (aborts.py, line 8)"),
    "segfaults": (
        "import ctypes; ctypes.string_at(0)",
        "its process was ended by SIGSEGV (segmentation fault) (segfaults.py, line 8)",
    ),
    "killed": (
        "import os; os.kill(os.getpid(), 9)",
        "its process was ended by SIGKILL (killed, as the system does when memory runs out)",
    ),
    "hog": ("import numpy; numpy.ones(1 << 37)", "it ran out of memory: MemoryError: Unable to allocate 1.00 TiB"),
    "quits": ("import sys; sys.exit(0)", "forward raised SystemExit: 0 (quits.py, line 8)"),
    "interrupts": ("raise KeyboardInterrupt", "it raised KeyboardInterrupt (interrupts.py, line 8)"),
    "nonsense": ("return object(), {1: 2}", "y is of type object, not a NumPy array"),
}
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the signals that end a process are POSIX's"),
    pytest.mark.usefixtures("_in_an_empty_folder"),
]


def rows(result):
    return json.loads(result.stdout)["rows"]


@pytest.mark.slow
def test_each_way_to_break_a_process_is_one_line_and_the_others_go_on():
    files = [write(name, first) for name, (first, _) in BREAKING.items()]
    kernels = [word for name in (*files, write("good", "pass")) for word in ("--kernel", name)]
    result = invoke("gradcheck", *kernels, *SMALL, "--isolate", "--format", "json")
    assert result.exit_code == 1
    notes = {row["kernel"]: row["note"] for row in rows(result) if row["array"] == "call"}
    assert notes.keys() == BREAKING.keys()
    for name, (_, said) in BREAKING.items():
        assert said in notes[name], name
    assert {row["verdict"] for row in rows(result) if row["kernel"] == "good"} == {"PASS"}
    reproduce = [row["reproduce"] for row in rows(result) if row["kernel"] == "exits"]
    assert all("--kernel exits.py" in line and "--isolate" in line for line in reproduce)
    assert "Traceback" not in result.output


@pytest.mark.slow
@pytest.mark.compiled
def test_what_never_returns_is_ended():
    kernels = ("--kernel", write("loops", "while True: pass"), "--kernel", write("good", "pass"))
    result = invoke("bench", *kernels, *SMALL, "--timeout", "6", "--max-time", "0.05", "--format", "json")
    assert result.exit_code == 1
    found = {row["kernel"]: row for row in rows(result)}
    assert "it did not come back within 6 s (loops.py, line 8)" in found["loops"]["note"]
    assert "--timeout 6" in found["loops"]["reproduce"]
    assert found["good"]["verdict"] == "PASS"
    assert found["good"]["median"] > 0


@pytest.mark.slow
def test_a_kernel_is_given_up_after_it_was_late_often_enough(process):
    apart = process(write("loops", "while True: pass"), 1.0)
    kernel = apart.load()
    for _ in range(MOST_ENDS):
        with pytest.raises(KernelLost, match="did not come back within 1 s"):
            kernel.run(call_forward)
    with pytest.raises(KernelLost, match="it is not run again, since 3 times in a row it did not come back"):
        kernel.run(call_forward)


@pytest.mark.slow
def test_a_kernel_that_breaks_on_some_data_is_checked_on_the_rest():
    spec = write("picky", "import os; x.shape[0] == 2 and os._exit(9)")
    result = invoke("verify", "--kernel", spec, "--shape", "4x5", "--dtype", "float64", "--random", "normal",
                    "--isolate", "--format", "json")  # fmt: skip
    verdicts = {row["check"]: row["verdict"] for row in rows(result)}
    assert verdicts.pop("2 samples") == "WRONG"
    assert set(verdicts.values()) == {"PASS"}


@pytest.mark.slow
def test_a_crash_is_no_refusal():
    """On degenerate data a kernel may raise; it may not take its process with it."""
    spec = write("lone", "import os; x.shape[0] == 1 and os._exit(9)")
    result = invoke("verify", "--kernel", spec, "--shape", "4x5", "--dtype", "float64", "--random", "normal",
                    "--isolate", "--format", "json")  # fmt: skip
    assert {row["check"]: row["verdict"] for row in rows(result)}["1 sample"] == "WRONG"


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("isolate", [(), ("--isolate",)])
def test_a_kernel_that_breaks_while_it_is_timed_has_no_time(isolate):
    count = "forward.count = getattr(forward, 'count', 0) + 1\n    if forward.count > 60: raise RuntimeError('tired')"
    kernels = ("--kernel", write("tires", count), "--kernel", write("good", "pass"))
    result = invoke("bench", *kernels, *SMALL, *isolate, "--max-time", "0.05", "--format", "json")
    assert result.exit_code == 1
    (tires,) = (row for row in rows(result) if (row["kernel"], row["direction"]) == ("tires", "forward"))
    assert tires["verdict"] == "WRONG"
    assert "it raised RuntimeError: tired (tires.py, line 9)" in tires["note"]
    assert "median" not in tires
    assert all(row["median"] > 0 for row in rows(result) if row["kernel"] == "good")


PRINTING = {
    "python": "print('hello')",
    "the first stdout": "sys.__stdout__.write('hello')",
    "the descriptor": "os.write(1, b'hello')",
    "c": "ctypes.CDLL(None).printf(b'hello')",
    "a child": "subprocess.run([sys.executable, '-c', 'print(chr(104) + str(chr(101)) + chr(108) * 2 + chr(111))'])",
}


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(("isolate", "way"), [*(((), way) for way in PRINTING), (("--isolate",), "the descriptor")])
def test_what_is_printed_stays_out_of_the_data(isolate, way):
    once = f"import ctypes, os, subprocess, sys; __name__ in os.environ or {PRINTING[way]}; os.environ[__name__] = ''"
    spec = write("prints", once)
    script = [sys.executable, "-m", "bncli", "bench", "--kernel", spec, *SMALL, "--max-time", "0.02", *isolate]
    result = subprocess.run([*script, "--format", "json"], capture_output=True, text=True, timeout=100, check=True)
    assert "prints" in {row["kernel"] for row in json.loads(result.stdout)["rows"]}
    assert "hello" in result.stderr
    if isolate:
        assert "warning: kernel 'prints.py': it printed 'hello" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_is_no_error(closed):
    spec = write("prints", "print('hello')")
    script = f'exec "$0" -m bncli forward --kernel {spec} --shape 5x4 {closed}>&-'
    result = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, text=True, timeout=100)
    assert result.returncode == 0
    assert "Error" not in result.stderr
    assert ("prints" in result.stdout) == (closed == "2")


def test_loading_breaks_in_one_line():
    (first,) = (dedent("import os\nos._exit(5)\n"),)
    with open("breaks.py", "w", encoding="utf-8") as file:
        file.write(first)
    result = invoke("verify", "--kernel", "breaks.py", "--isolate")
    assert result.exit_code == 2
    assert result.stderr == ("bncli: error: cannot load 'breaks.py' as a kernel: it ended its process, with status 5\n")


def test_errors_of_loading_are_those_of_any_kernel(process):
    with pytest.raises(InputError, match="no kernel is called 'nothing_of_this'"):
        process("nothing_of_this").load()
    with open("absent.py", "w", encoding="utf-8") as file:
        file.write("def available(): return 'a GPU is missing'\n" + RIGHT.replace("{first}", "pass"))
    with pytest.raises(Unavailable, match="a GPU is missing"):
        process("absent.py").load()


@pytest.mark.slow
def test_the_contract_is_checked_as_strictly_in_a_process_of_its_own():
    spec = write("writes", "x.flags.writeable = True; x[0] = 7")
    result = invoke("gradcheck", "--kernel", spec, *SMALL, "--isolate", "--format", "json")
    contract = next(row for row in rows(result) if row["array"] == "contract")
    assert contract["verdict"] == "WRONG"
    assert result.exit_code == 1


@pytest.mark.slow
def test_forward_and_backward_run_isolated_too():
    together = invoke("backward", *SMALL, "--kernel", "numpy", "--update", "--format", "json")
    apart = invoke("backward", *SMALL, "--kernel", "numpy", "--update", "--isolate", "--format", "json")
    assert rows(apart) == rows(together)
    infer = invoke("forward", *SMALL, "--kernel", "numpy", "--mode", "infer", "--isolate")
    assert infer.exit_code == 0
    broken = invoke("forward", *SMALL, "--kernel", write("exits", "import os; os._exit(3)"), "--isolate")
    assert (broken.exit_code, broken.stderr) == (1, "bncli: kernel 'exits': it ended its process, with status 3\n")


def test_threads_are_set_in_the_process_and_again_when_it_is_started_anew(process):
    with open("threads.py", "w", encoding="utf-8") as file:
        file.write("used = [0]\ndef set_threads(n): used[0] = n\n" + RIGHT.replace("{first}", "import os; os._exit(1)"))
    kernel = process("threads.py").load()
    kernel.set_threads(3)
    assert kernel.run(threads_used) == 3
    with pytest.raises(KernelLost):
        kernel.run(call_forward)
    assert kernel.run(threads_used) == 3
