"""The number of threads that kernels may use while they are timed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

SetThreads = Callable[[int], int | None]


@contextmanager
def restored(setters: Iterable[SetThreads], threads: int | None) -> Iterator[None]:
    """Bind all to ``threads`` in the block, then restore the numbers that setters returned; None changes nothing."""
    before = [(each, each(threads)) for each in setters] if threads else []
    try:
        yield
    finally:
        for each, count in before:
            if count:
                each(count)


def binding(setter: SetThreads | None, threads: int | None) -> Callable[[], object]:
    """A call that binds the threads before a sample."""
    return partial(setter, threads) if setter and threads else lambda: None
