"""A benchmark that is compared with an earlier run, and sampled until that comparison is decided."""

import numpy as np
import pytest

from bncli.benchmarking.conditions import UNKNOWN
from bncli.benchmarking.entries import CLOCK, PassEntry
from bncli.benchmarking.figures import Rounds
from bncli.benchmarking.passes import PassKey
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.timing import Sampled, Sampling
from bncli.comparison.compare import compare
from bncli.comparison.old_run import gate_against, with_comparison
from bncli.core.report import Report
from measured_runs import HERE
from planted import typed

STEADY = tuple(1 + 0.001 * (i % 3) for i in range(60))
SHAKEN = tuple(np.repeat([0.8, 1.3], 30).tolist())


@pytest.fixture
def case(make_case):
    return make_case("5x4")


def old_run(case, **samples):
    place = {"problem": str(case.problem), "input": case.recipe, "verdict": "PASS"}
    rows = [place | {"kernel": name, "direction": "forward", "samples": list(s)} for name, s in samples.items()]
    return Report("bench", (), typed(rows), environment=HERE)


def rounds(case, **samples):
    entries = {PassEntry(PassKey(name, "forward")): Sampled(1, each) for name, each in samples.items()}
    return Rounds(case, [Sampling({**entries, CLOCK: Sampled(1, STEADY)}, Stop.TIME, {})], UNKNOWN, "mine")


@pytest.mark.parametrize(
    ("old", "new", "undecided"),
    [
        (STEADY, STEADY, False),
        (STEADY, tuple(1.5 * each for each in STEADY), False),  # slower
        (STEADY, SHAKEN, True),
        (SHAKEN, STEADY, True),
        ((), SHAKEN, False),  # nothing could fail
    ],
)
def test_a_pass_that_the_old_run_has_is_needed_until_it_is_decided(case, old, new, undecided):
    gate = gate_against(old_run(case, mine=old, numpy=STEADY), 1.10)
    found = gate.undecided(rounds(case, mine=new, other=SHAKEN))
    assert found == ({PassEntry(PassKey("mine", "forward"))} if undecided else set())


def test_rows_have_the_comparison_and_the_verdict_of_the_gate(case):
    old, new = (old_run(case, mine=tuple(factor * each for each in STEADY)) for factor in (1.0, 1.5))
    found = with_comparison(new, compare(old, new, fail_slower=1.10))
    assert len(found.failures) == 1
    (row,) = found.rows
    assert (row["compared"], row["gate"], row["ratio"]) == ("SLOWER", "SLOWER", pytest.approx(1.5))
    assert gate_against(old, 1.10).judged(new.rows) == list(new.rows)
    assert "gate" not in with_comparison(new, compare(old, new)).rows[0]
