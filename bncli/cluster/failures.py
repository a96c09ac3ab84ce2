"""Turn the failures of a cluster into errors of one line that say that nothing was written."""

from collections.abc import Iterator
from contextlib import contextmanager

from bncli.core.units import text
from bncli.errors import BncliError, Unavailable

NOTHING = "nothing was written"
LOST = ("CancelledError", "FutureCancelledError", "FuturesCancelledError", "CommClosedError")


@contextmanager
def translated(memory_limit: int | None = None, *, starting: bool = False) -> Iterator[None]:
    """Raise any failure of a cluster, or of its start, as a BncliError, but let Ctrl-C through."""
    try:
        yield
    except BncliError:
        raise
    except Exception as error:
        limit = text(memory_limit, "bytes") if memory_limit else ""
        name, said = type(error).__name__, " ".join(str(error).split())
        if starting and (isinstance(error, ImportError) or ModuleNotFoundError.__name__ in said):
            why = f"the workers cannot import bncli: install this version there ({said})"
        elif starting:
            hint = f": --memory-limit {limit} may be less than a worker takes without a block" if limit else ""
            why = f"the workers did not start ({said}){hint}"
        elif name == "KilledWorker":
            above = f", or above the limit of {limit}" if limit else ""
            why = f"workers died repeatedly on the same block, perhaps out of memory{above}; {NOTHING}"
        elif name in LOST:
            why = f"the cluster lost what it had computed ({name}); {NOTHING}: run this again"
        else:
            why = f"the cluster failed with {name}: {said}; {NOTHING}"
        raise Unavailable(why) from error
