"""Calls to be timed, and what is done before the clock starts."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bncli.core.kernel import Prepared

Call = Callable[[], object]


class Ready(NamedTuple):
    """A call that can be timed now; ``kept`` stays alive until it has been made.

    ``then`` prepares a second call from the result of the first one, untimed; the time is that of both calls.
    """

    prepared: Prepared
    kept: object = None
    then: Callable[[Any], Prepared] | None = None

    def run(self) -> Any:
        """Call it, and return what the pass returns; for two calls, y and what the second one returns."""
        found = self.prepared.call()
        first = self.prepared.deliver(found)
        return (first[0], *self.then(found).run()) if self.then else first


Make = Callable[[], Ready]
