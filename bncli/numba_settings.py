"""The environment variables of Numba and OpenMP, whose unusable values keep Numba from running.

For some of them Numba raises an error while it is imported, which would end commands that need no Numba; for others at
the first parallel loop, which would blame the kernel; and LLVM and OpenMP print lines of their own.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module

MARK = "BNCLI_UNUSABLE_SETTING"  # the variable by which this process, and those that it starts, know of one
LAYERS = ("default", "safe", "threadsafe", "forksafe", "tbb", "omp", "workqueue")
POOLS = {"tbb": "numba.np.ufunc.tbbpool", "omp": "numba.np.ufunc.omppool"}  # of layers that a package may lack


def set_aside() -> None:
    """Unset each variable whose value is unusable, so that Numba can be imported; ``fault`` then names the last.

    Numba must not have been imported.
    """
    for name, hint_for in CHECKS.items():
        value = os.environ.get(name)
        if value is not None and (hint := hint_for(value)):
            os.environ[MARK] = f"{name} is {value!r}: {hint}, or unset it"
            del os.environ[name]


def fault() -> str:
    """What keeps Numba from running: a variable, its value and a hint, or an error; empty if nothing does."""
    layer = os.environ.get("NUMBA_THREADING_LAYER", "").lower()
    if layer in POOLS and MARK not in os.environ:
        try:
            import_module(POOLS[layer])
        except ImportError:
            return f"NUMBA_THREADING_LAYER is {layer!r}, which is not installed: give workqueue, or unset it"
    if MARK in os.environ:
        return os.environ[MARK]
    try:
        import_module("numba")
    except Exception as error:  # noqa: BLE001  # with a NumPy of another age, say
        return f"Numba cannot be imported: {type(error).__name__}: {error}"
    return ""


def _threads(value: str) -> str:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    hint = f"give {'1 to ' if cores > 1 else ''}{cores}, the number of cores that there are"
    return "" if 1 <= _whole(value) <= cores else hint


def _counts(value: str) -> str:
    return "" if all(_whole(each) >= 1 for each in value.split(",")) else "give a number from 1 on"


def _flag(value: str) -> str:
    return "" if _whole(value) >= 0 else "give 0 or 1"


def _layer(value: str) -> str:
    return "" if value.lower() in LAYERS else f"give one of {', '.join(LAYERS)}"


def _priority(value: str) -> str:
    known = LAYERS[-3:]
    return "" if sorted(value.split()) == sorted(known) else f"give {' '.join(known)} in any order"


def _known_to_llvm(value: str) -> str:
    """Ask LLVM, which does not raise, but prints that it does not know a processor or a feature."""
    from llvmlite import binding  # rarely needed

    with suppress(RuntimeError):  # later versions start by themselves
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    kind, known = ("features", "+avx2") if value[:1] in "+-" else ("cpu", "generic")
    said = _printed(lambda: target.create_target_machine(**{kind: value}))
    return f"give one that LLVM knows, such as {known}" if "not a recognized" in said else ""


def _printed(function: Callable[[], object]) -> str:
    """What ``function`` writes past Python to stderr."""
    reader, writer = os.pipe()
    stderr = os.dup(2)
    os.dup2(writer, 2)
    try:
        function()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(writer)
    with os.fdopen(reader, "rb") as file:
        return file.read().decode(errors="replace")


def _whole(value: str) -> int:
    """``value`` as Numba and OpenMP read it; -1 if it is no number."""
    try:
        return int(value)
    except ValueError:
        return -1


CHECKS: Mapping[str, Callable[[str], str]] = {
    "OMP_NUM_THREADS": _counts,
    "NUMBA_CPU_NAME": _known_to_llvm,
    "NUMBA_CPU_FEATURES": _known_to_llvm,
    "NUMBA_DISABLE_JIT": _flag,
    "NUMBA_THREADING_LAYER_PRIORITY": _priority,
    "NUMBA_THREADING_LAYER": _layer,
    "NUMBA_NUM_THREADS": _threads,
}
