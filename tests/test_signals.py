"""Ctrl-C, SIGTERM and SIGHUP as errors of Python: where they are raised, how often, and what is left as it was."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bncli import signals
from bncli.core.kernel import Kernel
from bncli.loading.guard import guarded

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the signals are POSIX's")


@pytest.mark.parametrize("number", signals.ENDING)
def test_each_signal_is_an_interrupt_in_the_block_and_has_its_own_handler_after_it(number):
    before, hook = signal.getsignal(number), sys.unraisablehook
    with signals.as_interrupts():
        assert not signals.came()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert signals.came()
    assert not signals.came()
    assert signal.getsignal(number) == before
    assert sys.unraisablehook == hook


def test_a_signal_that_is_ignored_stays_so_as_under_nohup(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.as_interrupts():
            signal.raise_signal(signal.SIGHUP)
        assert not signals.came()
        assert signal.SIGHUP not in signals.heeded()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_thread_of_a_program_that_calls_bncli_no_handler_is_set():
    def during():
        with signals.as_interrupts():
            return signal.getsignal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(during).result() is before
    assert during() is not before


class Callback:
    """An object whose end is interrupted, where Python passes no error on."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def test_an_interrupt_that_python_would_drop_comes_again(capsys):
    def interrupted():
        with signals.as_interrupts():
            Callback()
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert capsys.readouterr().err == ""


def test_what_an_interrupt_breaks_is_no_fault_of_a_kernel(make_case):
    def forward(x, gamma, beta, epsilon):
        Callback()  # as of a compiler, which goes on without what it has asked for
        raise RuntimeError("no compiled object yet")

    kernel, case = guarded(Kernel(forward, lambda dy, saved: None, name="mine")), make_case("4x3")
    with signals.as_interrupts(), pytest.raises(KeyboardInterrupt):
        kernel.forward(case.x, case.gamma, case.beta, 1e-5)


def test_other_errors_that_python_drops_are_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "__unraisablehook__", told.append)

    class Broken:
        def __del__(self):
            raise ValueError

    with signals.as_interrupts():
        Broken()
    assert [each.exc_type for each in told] == [ValueError]


def test_ctrl_c_is_held_back_while_a_process_starts_where_the_system_can(monkeypatch):
    mask = signal.pthread_sigmask
    with signals.held_back():
        assert signal.SIGINT in mask(signal.SIG_BLOCK, [])
    assert signal.SIGINT not in mask(signal.SIG_BLOCK, [])
    monkeypatch.delattr(signal, "pthread_sigmask")
    with signals.held_back():  # as on Windows
        assert signal.SIGINT not in mask(signal.SIG_BLOCK, [])
    signals.unblock()


@pytest.mark.parametrize("number", signals.ENDING)
def test_a_signal_to_another_thread_is_held_back_too(number):
    reached = []

    def interrupted(pool):
        with signals.as_interrupts(), signals.held_back():
            pool.submit(signal.raise_signal, number).result()
            reached.append(number)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread is there before, as those of a library are
        with pytest.raises(KeyboardInterrupt):
            interrupted(pool)
    assert reached == [number]


def test_one_that_came_meanwhile_is_dropped_in_the_process_that_was_started():
    with signals.held_back():
        signal.raise_signal(signal.SIGINT)  # in this thread: others do not block it
        signals.unblock()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


WORKER = """
import os, signal, sys
from bncli import signals
signals.supervised()
{body}
"""


def worker(body):
    code = WORKER.format(body=body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_before_the_command_line_is_read_a_signal_ends_a_worker_at_once():
    done = worker("signal.raise_signal(signal.SIGHUP)")
    assert (done.returncode, done.stderr) == (130, "bncli: interrupted\n")


def test_in_a_worker_the_first_signal_counts():
    done = worker(
        """
with signals.as_interrupts():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("one")
        signals._raise(signal.SIGTERM, None)
signals.ignored()
signal.raise_signal(signal.SIGTERM)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")


def test_what_a_kernel_forks_ends_without_a_word():
    done = worker(
        """
if child := os.fork():
    print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
else:
    os.kill(os.getpid(), signal.SIGTERM)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{signal.SIGTERM.value}\n", "")
