"""Kernels that break their process: each is one line, and the others go on."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from textwrap import dedent

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from bncli.benchmarking import isolated, measuring
from bncli.cli import main
from bncli.core.kernel import IsolatedKernel
from bncli.errors import InputError, KernelFault, KernelLost, Unavailable
from bncli.isolation import server, transfer
from bncli.isolation.process import MOST_ENDS, Process
from bncli.loading.registry import load_kernel

SMALL = ("--shape", "5x4")
RIGHT = """
from bncli.kernels import numpy as own

def backward(dy, saved):
    return own.backward(dy, saved)

def forward(x, gamma, beta, epsilon):
    {first}
    return own.forward(x, gamma, beta, epsilon)
"""
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
        "its process was ended by SIGKILL (killed, as the system does where memory runs out)",
    ),
    "hog": ("import numpy; numpy.ones(1 << 37)", "it ran out of memory: MemoryError: Unable to allocate 1.00 TiB"),
    "quits": ("import sys; sys.exit(0)", "forward raised SystemExit: 0 (quits.py, line 8)"),
    "interrupts": ("raise KeyboardInterrupt", "it raised KeyboardInterrupt (interrupts.py, line 8)"),
    "nonsense": ("return object(), {1: 2}", "y is of type object, not a NumPy array"),
}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the signals that end a process are POSIX's")


def write(name, first):
    text = RIGHT.replace("{first}", first)
    with open(f"{name}.py", "w", encoding="utf-8") as file:
        file.write(text)
    return f"{name}.py"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def process():
    """process(spec, timeout) -> a Process, which the test leaves ended."""
    made = []

    def make(*arguments):
        made.append(Process(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


def invoke(*arguments):
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


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
    started = time.monotonic()
    result = invoke("bench", *kernels, *SMALL, "--timeout", "15", "--max-time", "0.05", "--format", "json")
    assert time.monotonic() - started < 200
    assert result.exit_code == 0
    found = {row["kernel"]: row for row in rows(result)}
    assert "it did not come back within 15 s (loops.py, line 8)" in found["loops"]["note"]
    assert "--timeout 15" in found["loops"]["reproduce"]
    assert found["good"]["verdict"] == "PASS"
    assert found["good"]["median"] > 0


@pytest.mark.slow
def test_a_kernel_is_given_up_after_it_was_late_often_enough(process):
    apart = process(write("loops", "while True: pass"), 1.0)
    kernel = apart.load()
    for _ in range(MOST_ENDS):
        with pytest.raises(KernelLost, match="did not come back within 1 s"):
            kernel.run(call_forward)
    before = time.monotonic()
    with pytest.raises(KernelLost, match="it is not run again, since 3 times in a row it did not come back"):
        kernel.run(call_forward)
    assert time.monotonic() - before < 1


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
    count = "forward.count = getattr(forward, 'count', 0) + 1\n    if forward.count > 20: raise RuntimeError('tired')"
    kernels = ("--kernel", write("tires", count), "--kernel", write("good", "pass"))
    result = invoke("bench", *kernels, *SMALL, *isolate, "--max-time", "0.05", "--format", "json")
    assert result.exit_code == 0
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
def test_the_contract_is_checked_as_strictly_apart():
    spec = write("writes", "x.flags.writeable = True; x[0] = 7")
    result = invoke("gradcheck", "--kernel", spec, *SMALL, "--isolate", "--format", "json")
    contract = next(row for row in rows(result) if row["array"] == "contract")
    assert contract["verdict"] == "WRONG"
    assert result.exit_code == 1


def test_forward_and_backward_run_apart_too():
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


@pytest.mark.slow
def test_no_process_outlives_the_command():
    invoke("gradcheck", "--kernel", write("good", "pass"), *SMALL, "--isolate")
    assert not [child for child in psutil.Process().children(recursive=True) if "spawn_main" in str(child.cmdline())]


@pytest.mark.slow
def test_no_process_outlives_bncli_when_it_is_killed():
    spec = write("loops", "open('started', 'w').write(str(__import__('os').getpid()))\n    while True: pass")
    bncli = subprocess.Popen([sys.executable, "-m", "bncli", "gradcheck", "--kernel", spec, *SMALL, "--isolate"])
    try:
        server = int(wait_for("started"))
    finally:
        bncli.send_signal(signal.SIGKILL)
        bncli.wait()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(server) and psutil.Process(server).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the kernel's process runs on"
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_ends_both():
    spec = write("loops", "open('started', 'w').write(str(__import__('os').getpid()))\n    while True: pass")
    command = [sys.executable, "-m", "bncli", "gradcheck", "--kernel", spec, *SMALL, "--isolate"]
    bncli = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for("started")
    bncli.send_signal(signal.SIGINT)
    assert bncli.communicate(timeout=60)[1].strip() == "bncli: interrupted"
    assert bncli.returncode == 130


def wait_for(path):
    deadline = time.monotonic() + 100
    while not (os.path.exists(path) and os.path.getsize(path)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with open(path, encoding="utf-8") as file:
        return file.read()


def call_forward(kernel):
    kernel.forward(np.ones((4, 2, 1)), np.ones(2), np.ones(2), 1e-5)


def threads_used(kernel):
    return sys.modules[load_kernel(kernel.spec).forward.__closure__[0].cell_contents.call.__module__].used[0]


def refuse(kernel):
    raise ValueError("a job of bncli's own")


def test_what_a_job_raises_is_the_kernels_fault(process):
    with pytest.raises(KernelFault, match="it raised ValueError: a job of bncli's own"):
        process(write("good", "pass")).load().run(refuse)


def test_a_kernel_apart_is_compared_with_one_that_is_not(make_case, process):
    settings = measuring.Settings(max_time=0.0)
    found = isolated.rows_isolated(make_case("5x4"), [load_kernel("numpy"), process("reference").load()], settings)
    timed = {(row["kernel"], row["direction"]): row for row in found}
    assert timed.keys() == {(name, each) for name in ("numpy", "reference") for each in ("forward", "backward")} | {
        ("copy", "limit"), ("add", "limit"),
    }  # fmt: skip
    for direction in ("forward", "backward"):
        here, apart = timed["numpy", direction], timed["reference", direction]
        assert apart["speedup"] == here["median"] / apart["median"]
        assert here["speedup"] == 1


@pytest.mark.slow
def test_an_isolated_kernel_has_no_function_to_call_here(process):
    kernel, own = process("numpy").load(), load_kernel("numpy")
    assert isinstance(kernel, IsolatedKernel)
    assert not any(hasattr(kernel, name) for name in ("forward", "backward", "infer"))
    for name in ("name", "spec", "file", "dtypes", "summary", "has_infer"):
        assert getattr(kernel, name) == getattr(own, name)
    assert kernel.has_infer
    assert not process(write("good", "pass")).load().has_infer


@pytest.fixture
def served(tmp_path):
    """served(spec) starts a kernel's process by hand; returns a way to ask it, and it itself."""
    context = multiprocessing.get_context("spawn")
    (jobs, theirs), (printed, writer) = context.Pipe(), context.Pipe(duplex=False)
    child = context.Process(target=server.serve, args=(theirs, writer, str(tmp_path / "trace")))
    child.start()
    theirs.close()
    writer.close()
    assert transfer.receive(jobs) is None  # it is ready

    def ask(spec, job, *arguments):
        transfer.send(jobs, transfer.pack((spec, "its name", job, arguments)))
        return transfer.receive(jobs)

    ask.jobs, ask.printed, ask.child = jobs, printed, child
    yield ask
    child.kill()
    child.join()


def test_a_process_answers_whatever_a_job_does_and_ends_when_nobody_asks_any_more(served):
    with open("threads.py", "w", encoding="utf-8") as file:
        file.write("used = [0]\ndef set_threads(n): used[0] = n\n" + RIGHT.replace("{first}", "print('from forward')"))
    found = served("threads.py", server.describe)
    described = server.Description("threads", ("float32", "float64"), "", os.path.abspath("threads.py"), False, True)
    assert found == (True, described)
    assert served("threads.py", server.set_threads, 3) == (True, None)
    assert served("threads.py", server.run, threads_used, ()) == (True, 3)
    assert served("numpynet", server.set_threads, 3) == (True, None)  # it has none to set
    assert served("threads.py", server.run, name_of, ()) == (True, "its name")
    fine, error = served("threads.py", server.run, refuse, ())
    assert (fine, type(error)) == (False, KernelFault)
    assert str(error).startswith("kernel 'its name': it raised ValueError: a job of bncli's own")
    fine, error = served("threads.py", server.run, hog, ())
    assert (fine, type(error)) == (False, KernelFault)
    assert str(error).startswith("kernel 'its name': it ran out of memory: MemoryError: Unable to allocate 1.00 TiB")
    fine, error = served("nothing.py", server.describe)
    assert (fine, str(error)) == (False, "cannot load 'nothing.py' as a kernel: there is no such file")
    served("threads.py", server.run, call_forward, ())
    served.jobs.close()
    served.child.join(60)
    assert served.child.exitcode == 0
    assert os.read(served.printed.fileno(), 1 << 16) == b"from forward\n"


def name_of(kernel):
    return kernel.name


def hog(kernel):
    return np.ones(1 << 37)


class Pipe:
    """Both ends in one: what is sent is received."""

    def __init__(self):
        self.messages = []

    def send(self, value):
        self.messages.append(value)

    def send_bytes(self, content):
        self.messages.append(bytes(content))

    def recv(self):
        return self.messages.pop(0)

    recv_bytes = recv


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1, 2, 3)])
def test_arrays_arrive_as_they_were(dtype, shape):
    pytest.importorskip("ml_dtypes")
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    frozen, strided = array.copy(), np.repeat(array, 2, axis=-1)[..., ::2] if shape else array
    frozen.flags.writeable = False
    pipe = Pipe()
    transfer.send(pipe, transfer.pack({"array": array, "frozen": frozen, "strided": strided}))
    found = transfer.receive(pipe)
    for name, sent in {"array": array, "frozen": frozen, "strided": strided}.items():
        assert found[name].dtype == sent.dtype
        assert np.array_equal(found[name], sent)
        assert found[name].shape == sent.shape
    assert found["array"].flags.writeable
    assert not (frozen.size and found["frozen"].flags.writeable)


def test_a_timeout_is_a_finite_time():
    for value in ("0", "-1", "nan", "inf", "soon"):
        result = invoke("gradcheck", *SMALL, "--timeout", value)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
