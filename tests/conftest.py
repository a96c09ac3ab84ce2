import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from bncli.core.case import complete, generator
from bncli.core.problem import Problem

# A job in the background of a shell starts with Ctrl-C ignored, one of nohup with SIGHUP, and so would all that tests
# start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Threads that wait for work leave their core to others: tests run beside each other, and none asserts a time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# An assertion of a helper shows its values, as a test's own does.
_HELPERS = {path.stem for path in Path(__file__).parent.glob("*/**/*.py")} - {"conftest"}
pytest.register_assert_rewrite("command_line", *_HELPERS)

# A first call compiles, and a machine may be busy: what hypothesis calls slow is that.
settings.register_profile(
    "bncli", deadline=None, derandomize=True, max_examples=20, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("bncli")


NEEDS_COMPILER = "needs Numba's compiler, which NUMBA_DISABLE_JIT turns off"
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"


def pytest_addoption(parser, pluginmanager):
    """Where pytest-xdist is not installed, what pyproject.toml asks of it is nothing."""
    parser.addoption("--skipped", metavar="FILE", help="add what is skipped to this file, for pytest @FILE elsewhere")
    if not pluginmanager.hasplugin("xdist"):
        for option in ("--numprocesses", "--maxprocesses"):
            parser.addoption(option, help="pytest-xdist is not installed: one process runs all tests")


def pytest_collection_modifyitems(items):
    if INTERPRETED:
        for item in items:
            if item.get_closest_marker("compiled"):
                item.add_marker(pytest.mark.skip(reason=NEEDS_COMPILER))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    if (file := config.getoption("--skipped")) and not hasattr(config, "workerinput"):
        with open(file, "a", encoding="utf-8") as names:
            names.writelines(f"{each.nodeid}\n" for each in terminalreporter.stats.get("skipped", ()))


@pytest.fixture(scope="session", autouse=True)
def _no_compiler():
    """Skip whatever runs the kernel numba or times something, where Python is to run what is compiled otherwise."""
    if not INTERPRETED:
        yield
        return
    from bncli.benchmarking import roofline
    from bncli.kernels import numba

    def skip():
        pytest.skip(NEEDS_COMPILER)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba, "KERNEL", dataclasses.replace(numba.KERNEL, available=skip))
        patch.setattr(roofline, "require_compiler", skip)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_search():
    """Search only where a test asks for it: by default it takes seconds of each gradcheck and verify."""
    from bncli.commands import _search

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_search, "DEFAULT", dict.fromkeys(_search.DEFAULT, 0.0))
        yield


@pytest.fixture
def _time_to_narrow(monkeypatch):
    """A search has time enough for the smallest case and its rule on a busy machine too."""
    from bncli.verification.search import narrowing

    for name in ("SHRINKING", "RULING"):
        monkeypatch.setattr(narrowing, name, 60)
    monkeypatch.setattr(narrowing, "SHORTLY", (60, 60))


@pytest.fixture(scope="session")
def make_case():
    """make_case("5x4x4x3/channels-last", seed=1, mean=0.0, std=1.0, dy=...) -> a Case on normal data."""

    def make(descriptor, seed=0, mean=0.5, std=1.0, **arrays):
        problem = Problem.parse(descriptor)
        x = mean + std * generator(seed, "x").standard_normal(problem.shape)
        arrays = {"x": x.astype(problem.dtype), **arrays}
        case = complete(problem, arrays, seed)
        for field in dataclasses.fields(case):
            if isinstance(value := getattr(case, field.name), np.ndarray):
                value.flags.writeable = False  # whoever writes into an input is found out
        return case

    return make


@pytest.fixture(scope="session")
def saved_results(tmp_path_factory):
    """saved_results["bench"] is a file that ``bncli bench --export`` wrote; and so on. Workers share them."""
    from results import Results  # whose helpers are registered by now

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "saved-results"
    folder.mkdir(exist_ok=True)
    return Results(folder)


@pytest.fixture
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch):
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
