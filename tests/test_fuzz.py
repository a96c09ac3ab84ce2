"""A little of what ``python tests/fuzz.py`` throws at bncli, the same every time."""

import pytest

from fuzz import check
from hostile import TARGETS

EXAMPLES = 40


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_input_ends_in_a_result_or_in_one_line(target):
    assert check(target, EXAMPLES) >= EXAMPLES
