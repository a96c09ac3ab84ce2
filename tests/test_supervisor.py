"""The supervisor of a process that works: what it says of its end, and how it ends it on a signal."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="other systems do not fork"),
    pytest.mark.usefixtures("_in_an_empty_folder"),
]
LONGEST = 300  # seconds until a process is called hung
SUPERVISOR = """
import os, subprocess, sys
from bncli import supervisor
supervisor.PATIENCE, supervisor.SAVING = 0.2, 300
reader, writer = os.pipe()
words = [sys.executable, "-c", sys.argv[1].replace("WRITER", str(writer)), str(writer)]
worker = subprocess.Popen(words, pass_fds=[writer])
os.close(writer)
code = supervisor.Supervisor(worker.pid, reader).wait()
worker.returncode = 0  # it is waited for
sys.exit(code)
"""
WORKER = """
import faulthandler, itertools, os, signal, subprocess, sys, time
from collections import deque
from bncli import notices, signals
from bncli.notices import Notice
signals.supervised()
notices.send_to(WRITER)
faulthandler.enable(WRITER)
def interrupt(): os.kill(os.getppid(), signal.SIGTERM)
def interrupt_soon(): subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -TERM {os.getppid()}"])
"""
HOLD = "deque(itertools.repeat(1), maxlen=0)"  # in C, and no other thread of Python runs


def supervised(body, **settings):
    """The end of a supervisor whose worker runs ``body``."""
    return subprocess.run(
        [sys.executable, "-c", SUPERVISOR, WORKER + body],
        capture_output=True, text=True, check=False, timeout=LONGEST, **settings,
    )  # fmt: skip


LOADS = "notices.send(Notice.LOADS, '/a/mine.py')\n"
CRASH = "exec(compile('\\n\\ndef f(): os.kill(os.getpid(), signal.{}); time.sleep(60)\\nf()', '/a/mine.py', 'exec'))"
ISOLATE = ": give it one of its own by --isolate\n"
SEGFAULT = "its process was ended by SIGSEGV (segmentation fault)"
KILLED = "its process was ended by SIGKILL (killed, as the system does when memory runs out)"


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("notices.send(Notice.ENDED, '4'); sys.exit(4)", 4, ""),
        ("notices.send(Notice.ENDED, '0'); os.kill(os.getpid(), signal.SIGSEGV)", 0, ""),
        (LOADS + CRASH.format("SIGSEGV"), 1, f"bncli: mine.py, line 3: {SEGFAULT}{ISOLATE}"),
        (LOADS + CRASH.format("SIGKILL"), 1, f"bncli: mine.py: {KILLED}{ISOLATE}"),
        (LOADS + "os._exit(0)", 1, f"bncli: mine.py: it ended its process, with status 0{ISOLATE}"),
        (
            LOADS + "notices.send(Notice.LOADS, '/b/its.py'); os._exit(3)", 1,
            f"bncli: one of mine.py, its.py: it ended its process, with status 3{ISOLATE}",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 3, f"bncli: error: the command is not done: {SEGFAULT}\n"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)", 3,
            f"bncli: error: the command is not done: {KILLED}: use a smaller --shape or fewer --kernel\n",
        ),
        ("signal.signal(signal.SIGPIPE, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGPIPE)", 141, ""),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", 130, "bncli: interrupted\n"),
        ("os.close(WRITER); time.sleep(0.1); os._exit(130)", 130, ""),
    ],
)  # fmt: skip
def test_the_end_of_the_worker_is_told_in_one_line(body, code, said):
    done = supervised(body)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        f"interrupt_soon(); {HOLD}",
        f"os.killpg(0, signal.SIGHUP); {HOLD}",
        "signals.ignored(); interrupt(); time.sleep(600)",
        "interrupt(); time.sleep(600)",
        "signals.ignored(); interrupt(); time.sleep(0.1); notices.send(Notice.ENDED, '0')",
    ],
    ids=["holds the interpreter", "the whole group", "heeds no signal", "in the beginning", "done meanwhile"],
)
def test_a_signal_ends_the_worker_whatever_it_does(body):
    done = supervised(body, start_new_session=True)
    assert (done.returncode, done.stderr) == (130, "bncli: interrupted\n")


@pytest.mark.slow
def test_a_signal_ends_what_the_worker_has_started_and_removes_its_temporary_files():
    body = f"""
for name in "ab": open(name, "w").close(); notices.send(Notice.MADE, os.path.abspath(name))
notices.send(Notice.REMOVED, os.path.abspath("b"))
open("pid", "w").write(str(subprocess.Popen(["sleep", "600"], start_new_session=True).pid))
interrupt_soon(); {HOLD}
"""
    assert supervised(body).returncode == 130
    assert sorted(os.listdir()) == ["b", "pid"]
    require_gone(int(Path("pid").read_text(encoding="utf-8")))


def require_gone(pid):
    """Wait until the process ``pid`` has ended; whoever reaps it may take a while."""
    deadline = time.monotonic() + LONGEST
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_worker_that_saves_has_longer():
    body = "signals.ignored(); notices.send(Notice.SAVING); interrupt(); time.sleep(0.5); open('saved', 'w').close()"
    done = supervised(f"{body}; notices.send(Notice.ENDED, '130')")
    assert (done.returncode, done.stderr, os.listdir()) == (130, "", ["saved"])


@pytest.mark.slow
def test_another_signal_ends_a_worker_that_saves():
    done = supervised("signals.ignored(); notices.send(Notice.SAVING)\nwhile True: interrupt(); time.sleep(0.5)")
    assert (done.returncode, done.stderr) == (130, "bncli: interrupted\n")


@pytest.mark.slow
def test_a_worker_that_is_done_may_not_wait_for_threads_once_interrupted():
    done = supervised("notices.send(Notice.ENDED, '1'); signals.ignored(); interrupt(); time.sleep(600)")
    assert (done.returncode, done.stderr) == (1, "")


PROGRAM = """
import os, sys
from bncli import signals, supervised
def work():
    with signals.as_interrupts():
        {body}
if __name__ == "__main__":
    supervised.run(work)
"""


def program(body, *words, closed=()):
    """The end of a program whose supervised work is ``body``, with these standard streams ``closed``."""
    Path("program.py").write_text(PROGRAM.format(body=body), encoding="utf-8")
    measured = {name for name in os.environ if name.startswith("COV")}  # who follows one process has no supervisor
    environment = {name: value for name, value in os.environ.items() if name not in measured}
    return subprocess.run(
        [sys.executable, *words, "program.py"],
        capture_output=True, text=True, check=False, timeout=LONGEST, env=environment,
        preexec_fn=lambda: [os.close(stream) for stream in closed],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("sys.exit(4)", 4, ""),
        ("sys.exit()", 0, ""),
        ("print(os.getppid()); os._exit(0)", 3, "it ended its process, with status 0\n"),
        ("os.abort()", 3, "its process was ended by SIGABRT (aborted)\n"),
        ("os.write(1, b'lost')", 1, "OSError: [Errno 9] Bad file descriptor\n"),
        ("raise ValueError", 1, "ValueError\n"),
    ],
)
def test_a_program_ends_as_its_work_does(body, code, said):
    done = program(body, closed=(0, 1) if "lost" in body else ())
    assert done.returncode == code
    assert done.stderr.endswith(said)
    assert done.stderr.count("Traceback") == said.count("Error")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
def test_the_work_ends_with_its_supervisor():
    begins = "supervised.end_with_supervisor(); print(os.getpid(), flush=True); "
    done = program(begins + "os.kill(os.getppid(), 9); __import__('time').sleep(600)")
    assert done.returncode == -9
    require_gone(int(done.stdout))


@pytest.mark.slow
def test_a_profiler_sees_the_work_in_its_own_process():
    assert "{built-in method builtins.sorted}" in program("sorted([]); sys.exit(1)", "-m", "cProfile").stdout


@pytest.mark.slow
@pytest.mark.parametrize("lack", ["del os.fork", "os.fork = lambda: open('/nowhere')"])
def test_where_there_can_be_no_other_process_this_one_works(lack):
    code = f"import os; from bncli import supervised; own = os.getpid(); {lack}\n"
    code += "supervised.run(lambda: print(os.getpid() == own))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LONGEST)
    assert done.stdout == "True\n"
