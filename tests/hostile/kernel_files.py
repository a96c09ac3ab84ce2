"""Kernel files that are malformed, or return and do what they should not."""

from itertools import count

from hypothesis import strategies as st

from hostile.world import QUICK, RIGHT, damaged, rarely, run, write

COMMANDS = ("gradcheck", "verify", "bench", "forward", "backward")
PARAMETERS = {
    "forward": "x, gamma, beta, epsilon, out=None",
    "backward": "x, saved",
    "infer": "x, gamma, beta, mean, var, epsilon",
}
VALUES = r"""
None
1
x
'text'
[]
(x, None)
(x, x)
(x, x, x)
[x, x[0, :, 0], x[0, :, 0]]
(x, x[0, :, 0], x[0, :, 0])
x[0]
(x.T, 1)
(x > 0, 1)
(x.astype(int), 1)
(x.astype(object), 1)
(x + 1j, 1)
(x * float('nan'), 1)
(x.astype('float16'), 0)
(x.astype('U5'), 0)
(x.astype('M8[s]'), 0)
(x.astype('M8[s]'), x[0, :, 0], x[0, :, 0])
(x.astype('U5'), x[0, :, 0], x[0, :, 0])
(x + 1j, x[0, :, 0], x[0, :, 0])
(x.view('i8'), 0)
(np.ma.array(x), 0)
(np.matrix(x[:, :, 0]), 0)
(np.broadcast_to(0.0, x.shape), 0)
1 / 0
iter(())
object()
forward(x, gamma, beta, epsilon)
__import__('sys').exit(4)
__import__('warnings').warn('x')
np.seterr(all='raise')
np.empty(1 << 50)
__import__('ctypes').CDLL(None).fesetround(0x400)
(_ for _ in ()).throw(Exception('\x1b[2J'))
""".strip().splitlines()
HEADS = r"""
ndim = 2
ndim = 'x'
dtypes = 1
dtypes = ('float64',)
dtypes = []
summary = 3
summary = '\x1b[31m'
KERNEL = 5
class KERNEL: pass
import absent
raise Exception
raise KeyError('\x1b[2J')
raise KeyboardInterrupt.mro()[1]
def f(:
from numpy import *
import sys; sys.exit(7)
available = 1
def available(): return 5
def available(): return '\x1b[2J'
def set_threads(n): return 'x'
def set_threads(n): raise ValueError(n)
forward = 3
del backward
def backward(dy): pass
def forward(): pass
x = 1;import numpy; numpy.seterr(all='raise')
""".strip().splitlines()

NUMBERS = count()


def kernel_files(draw):
    lines = ["import numpy as np", RIGHT]
    for name, parameters in PARAMETERS.items():
        if draw(st.booleans()):
            lines.append(f"def {name}({parameters}): return {draw(st.sampled_from(VALUES))}")
    lines += draw(st.lists(st.sampled_from(HEADS), max_size=1))
    content = "\n".join(lines).encode()
    name = f"own{next(NUMBERS)}.py"  # a process imports a file once
    write(name, damaged(draw, content) if rarely(draw, 6) else content)
    command = draw(st.sampled_from(COMMANDS))
    run(command, "--kernel", name, "--shape", "3x4", *QUICK.get(command, ()))
