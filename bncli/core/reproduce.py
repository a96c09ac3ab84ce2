"""The command line that reproduces a result."""

import shlex
from collections.abc import Sequence

from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, IsolatedKernel
from bncli.core.source import load_source


def command_line(command: str, kernel: AnyKernel, case: Case, options: Sequence[str] = ()) -> str:
    """The words of ``bncli command`` on ``case``; empty for a kernel that no command line can name."""
    if not kernel.spec:
        return ""
    problem = case.problem
    name = case.recipe.partition(" ")[0].removeprefix("--")
    if name and load_source(name).shaped:
        data = ["--shape", str(problem)]
    else:
        data = ["--layout", str(problem.layout), "--dtype", problem.dtype, "--epsilon", repr(problem.epsilon)]
    isolated = kernel.process.options if isinstance(kernel, IsolatedKernel) else ()
    words = ["bncli", command, "--kernel", kernel.spec, *data, *options, *isolated]
    return f"{shlex.join(words)} {case.recipe}".rstrip()


def command_of_case(command: str, kernel: AnyKernel, line: str, options: Sequence[str] = ()) -> str:
    """The words of ``bncli command`` on the case ``line``; with ``options``, these replace it."""
    if not kernel.spec:
        return ""
    isolated = kernel.process.options if isinstance(kernel, IsolatedKernel) else ()
    return shlex.join(["bncli", command, "--kernel", kernel.spec, *(options or ("--case", line)), *isolated])


def reproduce(command: str, kernel: AnyKernel, case: Case, options: Sequence[str] = ()) -> str:
    """``command_line`` after the word ``reproduce:``, as tables print it; empty if there is no command line."""
    line = command_line(command, kernel, case, options)
    return f"reproduce: {line}" if line else ""
