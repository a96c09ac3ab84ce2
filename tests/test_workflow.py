"""The workflow on the top page: YAML that GitHub takes, whose steps pass a right kernel and fail a wrong one."""

import os
import re
import subprocess
import sys

import pytest

import pages

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
(BLOCK,) = pages.blocks("yaml")
WORKFLOW = yaml.safe_load(BLOCK.body)
(JOB,) = WORKFLOW["jobs"].values()
STEPS = [step["run"] for step in JOB["steps"] if "run" in step]
RIGHT = pages.invoke("kernels", "--template").stdout
WRONG = RIGHT.replace("mean_dy = dy.mean(SAMPLES, keepdims=True)", "mean_dy = 0")


def used(action):
    (step,) = (step for step in JOB["steps"] if step.get("uses", "").startswith(f"actions/{action}@"))
    return step["with"]


def test_the_workflow_checks_out_what_its_steps_need_and_keeps_what_numba_compiles():
    assert WORKFLOW[True] == "pull_request"  # YAML 1.1 reads on as true
    assert JOB["runs-on"]
    assert used("checkout") == {"fetch-depth": 0}
    assert used("cache")["path"] == JOB["env"]["NUMBA_CACHE_DIR"]
    assert re.fullmatch(r"3\.\d+", used("setup-python")["python-version"])
    assert JOB["defaults"]["run"]["shell"] == "bash"
    assert all(("uses" in step) != ("run" in step) for step in JOB["steps"])
    assert all("GITHUB_STEP_SUMMARY" in step for step in STEPS[1:])
    assert "pip install" in STEPS[0]


def git(folder, *words):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def checked_out(tmp_path):
    """A clone of a repository whose branch main has a right mine.py; returns a way to run the steps on another one."""
    (tmp_path / "origin").mkdir()
    git(tmp_path / "origin", "init", "-q", "-b", "main")
    (tmp_path / "origin" / "mine.py").write_text(RIGHT, encoding="utf-8")
    git(tmp_path / "origin", "add", ".")
    git(tmp_path / "origin", "commit", "-q", "-m", "a kernel")
    git(tmp_path, "clone", "-q", "origin", "clone")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "bncli").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bncli "$@"\n', encoding="utf-8")
    (bin_ / "bncli").chmod(0o755)
    own = {
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(pages.ROOT),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_BASE_REF": "main",
    }

    def steps(kernel):
        (tmp_path / "clone" / "mine.py").write_text(kernel, encoding="utf-8")
        for step in STEPS[1:]:  # the first one installs
            line = step.replace("--unsure pass", "--unsure pass --max-time 0.1").replace("--search 20", "--search 1")
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line]
            done = subprocess.run(
                shell, cwd=tmp_path / "clone", env={**JOB["env"], **os.environ, **own},
                capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
            yield step, done

    return steps, tmp_path / "summary.md"


@pytest.mark.slow
@pytest.mark.compiled
def test_the_steps_pass_a_right_kernel_and_summarize_it(checked_out):
    steps, summary = checked_out
    for step, done in steps(RIGHT):
        timed = "--fail-slower" in step  # which may fail on a busy machine
        assert done.returncode in ((0, 1) if timed else (0,)), (step, done.stdout, done.stderr)
    assert summary.read_text(encoding="utf-8").count("| kernel |") >= 2
    assert "mine" in summary.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.compiled
def test_each_step_fails_a_wrong_kernel_with_exit_code_1(checked_out):
    steps, summary = checked_out
    assert WRONG != RIGHT
    assert [done.returncode for _, done in steps(WRONG)] == [1, 1, 1]
    assert "WRONG" in summary.read_text(encoding="utf-8")
