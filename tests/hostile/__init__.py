"""Hostile input of every kind that bncli reads; each must end in a result, or in one line and an exit code."""

from hostile.arrays import arrays
from hostile.kernel_files import kernel_files
from hostile.options import options
from hostile.pictures import pictures
from hostile.presets import presets
from hostile.saved import saved
from hostile.settings import settings
from hostile.words import descriptors

# A target draws one input and gives it to bncli; it raises where that does not end well.
TARGETS = {
    "descriptors": descriptors,
    "presets": presets,
    "saved": saved,
    "arrays": arrays,
    "pictures": pictures,
    "kernel-files": kernel_files,
    "options": options,
    "settings": settings,
}
