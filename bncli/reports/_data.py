"""What every check needs: kernels as they are given, cases on random data, the command that shows a failure again."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from bncli import plugins
from bncli.core.case import Case, complete
from bncli.core.external import as_kernel
from bncli.core.kernel import Kernel
from bncli.core.loading import load_kernel
from bncli.core.problem import Problem
from bncli.core.source import Request, Source

SOURCES = "bncli.inputs"
RANDOM = "random"


def loaded(kernel: str | Kernel | ModuleType) -> Kernel:
    """The kernel that a caller gives by its name, file or module, as a module, or as it is."""
    if isinstance(kernel, str):
        return load_kernel(kernel)
    if isinstance(kernel, Kernel):
        return kernel if kernel.name else replace(kernel, name="kernel")
    return as_kernel(kernel)


def parsed(problem: str | Problem) -> Problem:
    return Problem.parse(problem) if isinstance(problem, str) else problem


def source(name: str) -> Source:
    found: Source = plugins.load(SOURCES, name).SOURCE
    return found


def distributions() -> tuple[str, ...]:
    """What ``--random`` takes."""
    return source(RANDOM).choices


def draw(random: str, problem: Problem, seed: int) -> Case:
    """A case on random data, as ``--random`` makes it."""
    request = Request((random,), problem.shape, problem.layout, problem.dtype, problem.epsilon, seed)
    batch = source(RANDOM).load(request)
    return complete(batch.problem, batch.arrays, seed, shlex.join([f"--{RANDOM}", random, "--seed", str(seed)]))


def reproduce(command: str, kernel: Kernel, case: Case, options: Sequence[str]) -> str:
    """The command line that shows the same again; empty for a kernel that no command line can name."""
    if not kernel.spec:
        return ""
    problem = case.problem
    name = case.recipe.partition(" ")[0].removeprefix("--")
    if name and source(name).shaped:
        data = ["--shape", str(problem)]
    else:
        data = ["--layout", str(problem.layout), "--dtype", problem.dtype, "--epsilon", repr(problem.epsilon)]
    apart = kernel.process.options if kernel.process else ()
    words = ["bncli", command, "--kernel", kernel.spec, *data, *options, *apart]
    return f"reproduce: {shlex.join(words)} {case.recipe}".rstrip()
