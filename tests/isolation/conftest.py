"""A process that the test leaves ended."""

import pytest

from bncli.isolation.process import Process


@pytest.fixture
def process():
    """process(spec, timeout) -> a Process, which the test leaves ended."""
    made = []

    def make(*arguments):
        made.append(Process(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()
