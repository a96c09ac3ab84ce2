"""Arrays: every dtype and order, headers that lie, archives with the wrong things in them."""

import io
import json
import math
import warnings
import zipfile

import numpy as np
from hypothesis import strategies as st
from numpy.lib import format as npy

from hostile.words import TEXT
from hostile.world import damaged, rarely, run, write

REAL = ("<f8", ">f8", ">f4", "<f2", "i4", ">i8", "?", "u1", "O", "S4", "c8", "longdouble", "M8[s]")
CLAIMED = (*REAL, "|V4", "<f16", "<m8", "junk", "<f3", "f8,i4", "=d", "O8", "", None, [("a", "f8")], 5)
EVIL = "{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os').system('touch ran')}"
HUGE = (0, 1, 2, 3, 2**20, 2**31, 2**40, 2**62, 2**63, 2**70, -1, -(2**63))
SHAPE = st.lists(st.integers(0, 4), max_size=5)
CLAIMED_SHAPE = st.one_of(
    SHAPE, st.lists(st.sampled_from(HUGE), max_size=6), st.lists(st.just(1), min_size=60, max_size=70)
)
VALUES = (np.nan, np.inf, -np.inf, 1e308, 5e-324, 1e39, 0)
STORED = ("F32", "F32", "F64", "BF16", "I8", "BOOL", "F8_E4M3", "", 5, None)
NAMES = ("x", "gamma", "beta", "dy", "mean", "var", "../x", "y")


def arrays(draw):
    kinds = {"x.npy": _npy, "x.npz": _npz, "x.safetensors": _safetensors}
    name = draw(st.sampled_from(tuple(kinds)))
    content = kinds[name](draw)
    write(name, damaged(draw, content) if rarely(draw, 4) else content)
    layout = draw(st.sampled_from(("per-activation", "channels-last", "channels-first")))
    dtype = draw(st.sampled_from(((), (), ("--dtype", "float32"), ("--dtype", "float16"))))
    command = draw(st.sampled_from(("forward", "backward", "gradcheck")))
    run(command, "--array", name, "--kernel", "numpy", "--layout", layout, *dtype)


def _safetensors(draw):
    """A header that may say anything of a few bytes."""
    tensors = {}
    for name in draw(st.lists(st.sampled_from((*NAMES, "__metadata__")), max_size=4, unique=True)):
        shape = draw(CLAIMED_SHAPE)
        last = draw(st.sampled_from((4 * max(0, min(math.prod(shape), 64)), 8, 0, -4, 2**63)))
        facts = {"dtype": draw(st.sampled_from(STORED)), "shape": shape, "data_offsets": [0, last]}
        tensors[name] = draw(st.sampled_from((facts, facts, facts, {}, [], None, 7)))
    header = json.dumps(draw(st.sampled_from((tensors, tensors, tensors, [], 3)))).encode()
    return len(header).to_bytes(8, "little") + header + b"\x3f" * 256


def _npz(draw):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))) as archive:
        for held in draw(st.lists(st.sampled_from(NAMES), max_size=5, unique=True)):
            archive.writestr(f"{held}.npy", _npy(draw))
    return file.getvalue()


def _npy(draw):
    if rarely(draw, 3):
        return _claimed(draw)
    shape = tuple(draw(SHAPE))
    array = np.random.default_rng(0).normal(0, 1, shape)
    for at in range(min(array.size, draw(st.integers(0, 2)))):
        array.reshape(-1)[at] = draw(st.sampled_from(VALUES))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = array.astype(draw(st.sampled_from(REAL)), order=draw(st.sampled_from("CF")))
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _claimed(draw):
    """A header that may say anything, and a few bytes."""
    shape = tuple(draw(CLAIMED_SHAPE))
    order = draw(st.sampled_from((True, False, 1, None)))
    honest = repr({"descr": draw(st.sampled_from(CLAIMED)), "fortran_order": order, "shape": shape})
    text = draw(st.one_of(st.just(honest), st.just(honest), TEXT, st.just(EVIL))).encode("latin-1", "replace") + b"\n"
    version = draw(st.sampled_from(((1, 0), (2, 0), (3, 0), (4, 4))))
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return npy.MAGIC_PREFIX + bytes(version) + length + text + b"\x3f" * (8 * max(0, min(math.prod(shape), 64)))
