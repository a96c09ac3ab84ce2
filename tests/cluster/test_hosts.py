"""A scheduler and workers that share no network but a cable: each in a network namespace of its own, on one machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest

from bncli.core.case import complete
from bncli.core.problem import Problem
from bncli.loading.registry import load_kernel

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

PREFIX = f"bncli{os.getpid()}"
HUB = "10.77.0.1"
SCHEDULER = f"tcp://{HUB}:8786"


def sh(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=60)


def hindrance():
    """Why there can be no hosts here, or None."""
    if not all(map(shutil.which, ("ip", "unshare"))):
        return "it needs the commands ip and unshare"
    done = sh("ip", "netns", "add", f"{PREFIX}try", check=False)
    sh("ip", "netns", "del", f"{PREFIX}try", check=False)
    return None if done.returncode == 0 else f"network namespaces need root: {done.stderr.strip()}"


def host(stack, name, address):
    """A namespace with a cable to the switch in the hub's; the hub's own is the first."""
    space, hub = f"{PREFIX}{name}", f"{PREFIX}hub"
    sh("ip", "netns", "add", space)
    stack.callback(sh, "ip", "netns", "del", space, check=False)
    sh("ip", "-n", space, "link", "set", "lo", "up")
    if name == "hub":
        sh("ip", "-n", hub, "link", "add", "switch", "type", "bridge")
        sh("ip", "-n", hub, "addr", "add", f"{address}/24", "dev", "switch")
        sh("ip", "-n", hub, "link", "set", "switch", "up")
        return
    sh("ip", "-n", space, "link", "add", "cable", "type", "veth", "peer", "name", name, "netns", hub)
    sh("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "cable")
    sh("ip", "-n", space, "link", "set", "cable", "up")
    sh("ip", "-n", hub, "link", "set", name, "master", "switch", "up")


def on(name, *words):
    """A command that runs on the host ``name``, and knows itself by that name."""
    inside = ("sh", "-c", f'hostname {name} && exec "$@"', "sh", *words)
    return ("ip", "netns", "exec", f"{PREFIX}{name}", "unshare", "--uts", *inside)


def start(stack, name, *words):
    # A file, not a pipe: nobody reads along.
    process = subprocess.Popen(
        on(name, sys.executable, "-m", *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.callback(process.wait, timeout=30)
    stack.callback(process.terminate)


@pytest.fixture(scope="module")
def hosts():
    """A hub with the scheduler, and two hosts with a worker each."""
    why = hindrance()
    if why:
        pytest.skip(why)
    with ExitStack() as stack:
        for number, name in enumerate(("hub", "left", "right"), 1):
            host(stack, name, f"10.77.0.{number}")
        start(stack, "hub", "distributed.cli.dask_scheduler", "--host", HUB, "--port", "8786", "--no-dashboard")
        for name in ("left", "right"):
            start(
                stack, name, "distributed.cli.dask_worker", SCHEDULER, "--nthreads", "1", "--no-dashboard",
                "--no-nanny", "--interface", "cable", "--local-directory", os.environ.get("TMPDIR", "/tmp"),
            )  # fmt: skip
        yield


def carried(name):
    """The bytes that have passed the cable of the host ``name``."""
    (link,) = json.loads(sh("ip", "-n", f"{PREFIX}{name}", "-s", "-j", "link", "show", "cable").stdout)
    return sum(link["stats64"][way]["bytes"] for way in ("rx", "tx"))


@pytest.mark.usefixtures("hosts")
def test_two_hosts_give_the_bits_of_one_process(tmp_path):
    problem = Problem.parse("64x16x32x32/channels-first/float32/eps=1e-05")
    x = np.random.default_rng(0).normal(3, 2, problem.shape).astype(problem.dtype)
    np.save(tmp_path / "x.npy", x)
    before = {name: carried(name) for name in ("left", "right")}
    command = on(
        "hub", sys.executable, "-m", "bncli", "forward", "--kernel", "dask", "--array", str(tmp_path / "x.npy"),
        "--layout", "channels-first", "--epsilon", "1e-5", "--scheduler", SCHEDULER,
        "--save", str(tmp_path / "y.npy"), "--format", "json",
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        row = json.loads(done.stdout)["rows"][0]
        if row["workers"] == 2 or time.monotonic() > deadline:  # the second may have come late
            break
    assert "2 workers of 1 thread on 2 hosts" in row["note"]
    case = complete(problem, {"x": x}, seed=0)
    y, _ = load_kernel("dask").forward(case.x, case.gamma, case.beta, problem.epsilon)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), problem.own(y))
    for name, least in before.items():
        # Statistics and commands, not the batch: that has been read and written where it is.
        assert 0 < carried(name) - least < x.nbytes
