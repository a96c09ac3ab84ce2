"""What bncli reads, as functions of bytes that raise where a reader does not end well; and bytes to begin with."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from bncli import plugins
from hostile.pictures import FORMATS, encoded
from hostile.presets import SLOW
from hostile.saved import documents
from hostile.words import read_back
from hostile.world import SMALL, run, write

CONFIGS = Path(__file__).parents[2] / "configs"
DESCRIPTORS = ("50x64x112x112/channels-first/float32/eps=1e-05", "5x4x3", "64x{100..400:x2}/float16", "{2..9:+3}x2x3")
PRESET_WAYS = (("bench", "--max-time", "0"), ("gradcheck",), ("forward",))
IMAGE_WAYS = (("--resize", "3x2"), ("--copies", "2"), ("--preview",), ("--layout", "channels-first"))


class Reader(NamedTuple):
    read: object
    seeds: object


def _descriptor(content):
    read_back(content.decode("utf-8", "replace"))


def _saved(content):
    write("a.json", content)
    run("compare", "a.json", "b.json")
    run("report", "a.json", "--output", "r.html")


def _preset(content):
    write("p.toml", content)
    run(*_one_of(PRESET_WAYS, content), "--preset", "p.toml", *SMALL)
    assert not Path("ran").exists(), "a preset has run a file's code"


def _image(content):
    write("p.png", content)
    run("forward", "--image", "p.png", "--kernel", "numpy", *_one_of(IMAGE_WAYS, content))


def _array(content):
    for name in ("x.npy", "x.npz"):
        write(name, content)
        run("forward", "--array", name, "--kernel", "numpy")


def _one_of(ways, content):
    return ways[len(content) % len(ways)]


def _images():
    small = [Image.linear_gradient("L").resize((5, 4)).convert(mode) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK")]
    return filter(None, (encoded(image, suffix) for suffix in FORMATS for image in small))


def _presets():
    yield from (path.read_bytes() for path in CONFIGS.glob("*.toml"))
    for option in plugins.load("bncli.commands", "bench").COMMAND.params:
        name = option.opts[0].removeprefix("--")
        if name not in SLOW:
            yield f'{name} = 1\n[bench]\n{name} = ["x", "y"]'.encode()


def _arrays():
    np.savez("x.npz", x=np.eye(3), gamma=np.ones(3))
    return [Path("a.npy").read_bytes(), Path("x.npz").read_bytes()]


READERS = {
    "descriptors": Reader(_descriptor, lambda: [text.encode() for text in DESCRIPTORS]),
    "saved": Reader(_saved, lambda: [text.encode() for text in documents()]),
    "presets": Reader(_preset, _presets),
    "images": Reader(_image, _images),
    "arrays": Reader(_array, _arrays),
}
