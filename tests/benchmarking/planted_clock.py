"""A clock that only the calls move."""

from bncli.benchmarking.sampling import Rule
from bncli.benchmarking.timing import (
    Timed,
    interleave,
)


class Machine:
    """A clock, and calls that take their planned time on it; every call is written down."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def clock(self):
        return self.now

    def call(self, name, *durations):
        planned = iter(durations)
        last = durations[-1]

        def run():
            self.log.append(name)
            self.now += next(planned, last)

        return run


def alone(calls):
    return {name: Timed([call]) for name, call in calls.items()}


def sampled(machine, max_time, precision=0.0, **calls):
    """The samples of calls of a few durations, in seconds; the last is repeated."""
    timed = alone({name: machine.call(name, *durations) for name, durations in calls.items()})
    return interleave(timed, Rule(max_time, precision), clock=machine.clock)
