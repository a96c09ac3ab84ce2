"""Images: every format and mode that Pillow writes, whole and damaged, still and moving, and sizes that lie."""

import io
import shutil
import warnings
from pathlib import Path

from hypothesis import strategies as st
from PIL import Image

from hostile.world import damaged, run, write

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
MOVING = ("GIF", "TIFF", "WEBP", "PNG")
FORMATS = (*MOVING, "JPEG", "BMP", "PPM", "TGA", "ICO", "PCX", "SGI", "JPEG2000", "DDS", "IM", "MSP", "XBM")
LYING = (
    b"P6 99999 99999 255 " + bytes(9),
    b"P5 2 2 65535 " + bytes(8),
    b"P4 8 999999999 \n\0",
    b"GIF89a" + b"\xff" * 9,
)
WAYS = (
    (),
    ("--copies", "3"),
    ("--resize", "3x2"),
    ("--resize", "1x1", "--copies", "2"),
    ("--frames", "all"),
    ("--skip-broken",),
    ("--recursive", "--frames", "all", "--skip-broken", "--resize", "3x2"),
)
MIXED = ("a.png", "b.tiff", "c.h5", "d.mpg", "e.heic", ".f.png", "below/g.gif", "below/deeper/h.jpg")
MORE = ((), ("--layout", "channels-first"), ("--dtype", "float16"), ("--format", "json"))


def pictures(draw):
    content = _image(draw)
    write("p.png", damaged(draw, content) if draw(st.booleans()) else content)
    shutil.rmtree("mixed", ignore_errors=True)
    Path("mixed/below/deeper").mkdir(parents=True)
    for name in draw(st.lists(st.sampled_from(MIXED), max_size=3, unique=True)):
        write(f"mixed/{name}", damaged(draw, content) if draw(st.booleans()) else content)
    words = ("--image", draw(st.sampled_from(("p.png", "mixed")))) * draw(st.integers(1, 2))
    command = draw(st.sampled_from(("forward", "backward")))
    seen = draw(st.sampled_from(((), ("--preview",)))) if command == "forward" else ()
    run(command, *words, *draw(st.sampled_from(WAYS)), *draw(st.sampled_from(MORE)), *seen, "--kernel", "numpy")


def _image(draw):
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    image = Image.new(draw(st.sampled_from(MODES)), size, draw(st.integers(0, 255)))
    suffix = draw(st.sampled_from(FORMATS))
    moving = {"save_all": True, "append_images": [image.copy()]} if suffix in MOVING and draw(st.booleans()) else {}
    return encoded(image, suffix, **moving) or draw(st.sampled_from(LYING))


def encoded(image, suffix, **how):
    """The file of ``image`` in that format; nothing where the format does not have its mode."""
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(action="ignore"):  # of formats that are on their way out
            image.save(file, suffix, **how)
    except (OSError, ValueError, KeyError):
        return b""
    return file.getvalue()
