"""A little of what ``python tests/fuzz.py`` and ``tests/guided.py`` throw at bncli, the same every time."""

from itertools import islice

import pytest

from fuzz import check
from hostile import TARGETS
from hostile.readers import READERS
from hostile.saved import documents
from hostile.world import playground

EXAMPLES = 25
SEEDS = 5


# A preset may leave the kernels to bncli, and so have numba's compiled for whatever shapes it has.
@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=pytest.mark.slow) if name == "presets" else name for name in TARGETS]
)
def test_hostile_input_ends_in_a_result_or_in_one_line(target):
    assert check(target, EXAMPLES) >= EXAMPLES


@pytest.mark.parametrize("name", READERS)
def test_what_guided_runs_begin_with_and_half_of_it_end_well(name):
    reader = READERS[name]
    with playground(documents()):
        for seed in islice(reader.seeds(), SEEDS):
            reader.read(seed)
            reader.read(seed[: len(seed) // 2])
