"""What a run opens on the network: nothing that other machines reach; and connections that are encrypted."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from bncli.kernels import numpy as numpy_kernel

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

BNCLI = (sys.executable, "-m", "bncli")
SMALL = ("--shape", "64x8/float32")
COMMANDS = {
    "forward on workers": ("forward", "dask", "--array", "x.npy", "--workers", "2"),
    "bench on workers": ("bench", "dask", *SMALL, "--workers", "1", "--max-time", "0.2"),
    "bench isolated": ("bench", "mine.py", *SMALL, "--isolate", "--max-time", "0.2"),
    "bench in processes": ("bench", "numpy", *SMALL, "--processes", "2", "--max-time", "0.2"),
    "a search": ("gradcheck", "mine.py", *SMALL, "--search", "0.5"),
}
CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=bncli"),
    *("-keyout", "key.pem", "-out", "cert.pem"),
)
TLS = "DASK_DISTRIBUTED__COMM__TLS__"


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).standard_normal((64, 8)).astype("float32"))
    shutil.copy(numpy_kernel.__file__, "mine.py")


def open_addresses(process):
    """The addresses at which the process or one of its children can be reached; empty if it has ended."""
    try:
        family = [process, *process.children(recursive=True)]
        opened = [each for one in family for each in one.net_connections("inet")]
    except psutil.Error:
        return set()
    return {each.laddr.ip for each in opened if each.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_nothing_is_opened_that_other_machines_reach(words):
    with subprocess.Popen([*BNCLI, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        process, seen = psutil.Process(running.pid), set()
        while running.poll() is None:
            seen |= open_addresses(process)
            time.sleep(0.1)  # what listens does so until the end
        assert running.returncode == 0, running.stderr.read()
    assert seen <= {"127.0.0.1", "::1"}
    assert bool(seen) == ("--workers" in words)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_scheduler_with_certificates_is_used_by_those_who_have_one(tmp_path):
    subprocess.run(CERTIFICATE, check=True, capture_output=True)
    trusted = {f"{TLS}CA_FILE": str(tmp_path / "cert.pem")}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        trusted |= {f"{TLS}{role}__{what}": str(tmp_path / f"{what.lower()}.pem") for what in ("CERT", "KEY")}
    dask, env = (sys.executable, "-m", "dask"), os.environ | trusted
    local = ("--host", "127.0.0.1", "--scheduler-file", "at.json")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--protocol", "tls", "--port", "0", "--no-dashboard", *local], **quiet
    )
    worker = subprocess.Popen([*dask, "worker", "--nthreads", "1", "--no-dashboard", *local], **quiet)
    try:
        deadline = time.monotonic() + 60
        while not os.path.exists("at.json") and time.monotonic() < deadline:
            time.sleep(0.1)
        with open("at.json", encoding="utf-8") as file:
            address = json.load(file)["address"]
        assert address.startswith("tls://127.0.0.1:")
        words = [*BNCLI, "forward", "dask", "--array", "x.npy", "--scheduler", address]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "x_hat" in done.stdout
        refused = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert refused.returncode == 3
        assert refused.stderr.startswith(f"bncli: error: '{address}' needs certificates: set distributed.comm.tls.")
        assert len(refused.stderr.splitlines()) == 1
        wrong = subprocess.run(
            words, env=env | {f"{TLS}CLIENT__KEY": "x.npy"}, capture_output=True, text=True, timeout=120, check=False
        )
        assert wrong.returncode == 3
        assert wrong.stderr.startswith(f"bncli: error: the certificates for '{address}' cannot be used: ")
        assert len(wrong.stderr.splitlines()) == 1
    finally:
        for each in (worker, scheduler):
            each.terminate()
            each.wait(30)
