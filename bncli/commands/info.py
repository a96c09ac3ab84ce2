"""Show the machine and the software that figures are measured on."""

import os
from typing import Any

from bncli import numba_settings
from bncli.benchmarking import environment
from bncli.commands._groups import command
from bncli.commands._output import Output, output
from bncli.core.report import Column, Report
from bncli.core.rows.lists import InfoRow
from bncli.core.units import text

COLUMNS = (Column("item", ""), Column("value", "value"))
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
SIZES = ("memory", "memory_available")


@command(
    {
        "bncli info": "the machine that figures are measured on",
        "bncli info --format json": "for a program",
        "bncli info -o machine.json": "to keep with a result",
    }
)
@output
def info(output: Output) -> None:
    """Show the machine and the software: versions, processor, threads, caches, memory."""
    facts = environment.collect()
    fault = numba_settings.fault()
    facts |= dict.fromkeys(("numba_threads", "numba_threading_layer"), fault) if fault else _of_numba()
    rows = [InfoRow(item=name.replace("_", " "), value=_value(name, fact)) for name, fact in facts.items()]
    output.emit(Report("info", COLUMNS, rows))


def _of_numba() -> dict[str, Any]:
    from numba import get_num_threads, threading_layer

    # Numba knows its threading layer only once threads run; get_num_threads starts them.
    facts = {"numba_threads": get_num_threads(), "numba_threading_layer": threading_layer()}
    return facts | ({"openmp_waiting": _waiting()} if threading_layer() == "omp" else {})


def _waiting() -> str:
    """The variables by which OpenMP's idle threads spin for long or not: see the page of the kernel numba."""
    given = (f"{name}={os.environ[name]}" for name in WAITING if name in os.environ)
    return ", ".join(given) or f"default: neither {' nor '.join(WAITING)} is set"


def _value(name: str, fact: Any) -> str:
    if isinstance(fact, dict):
        return ", ".join(f"{key} {value}" for key, value in fact.items())
    if isinstance(fact, list):
        return " ".join(fact)
    return text(fact, "bytes" if name in SIZES else "text")


COMMAND = info
