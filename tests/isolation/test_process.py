"""A kernel's process: when it ends, the jobs that it is given, and the arrays that it sends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from bncli.benchmarking import isolated, measuring
from bncli.core.kernel import IsolatedKernel
from bncli.errors import KernelFault
from bncli.isolation import server, transfer
from bncli.loading.registry import load_kernel
from breaking_kernels import RIGHT, SMALL, call_forward, invoke, threads_used, write

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the signals that end a process are POSIX's"),
    pytest.mark.usefixtures("_in_an_empty_folder"),
]


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


def refuse(kernel):
    raise ValueError("a job of bncli's own")


def test_what_a_job_raises_is_the_kernels_fault(process):
    with pytest.raises(KernelFault, match="it raised ValueError: a job of bncli's own"):
        process(write("good", "pass")).load().run(refuse)


@pytest.mark.slow
def test_an_isolated_kernel_is_compared_with_one_that_is_not(make_case, process):
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


def test_a_process_answers_after_any_job_and_ends_when_its_caller_is_gone(served):
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
