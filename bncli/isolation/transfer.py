"""Send objects between two processes: the memory of arrays is sent as it is; read-only arrays stay read-only."""

from __future__ import annotations

import copyreg
import pickle
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    Array = NDArray[Any]

PROTOCOL = 5  # supports arrays outside the pickle


def pack(value: Any) -> list[Any]:
    """``value`` as messages: a pickle, and then the arrays outside it. Raises the errors of pickling."""
    file, buffers = BytesIO(), list[pickle.PickleBuffer]()
    pickler = pickle.Pickler(file, PROTOCOL, buffer_callback=buffers.append)
    pickler.dispatch_table = {**copyreg.dispatch_table, np.ndarray: _reduced}
    pickler.dump(value)
    return [file.getvalue(), *(buffer.raw() for buffer in buffers)]


def send(connection: Connection[Any, Any], messages: list[Any]) -> None:
    """Send ``messages``, which ``receive`` reassembles."""
    connection.send(len(messages))
    for message in messages:
        connection.send_bytes(message)


def receive(connection: Connection[Any, Any]) -> Any:
    """The object that was sent. Raises EOFError if the other process has ended."""
    content, *buffers = [connection.recv_bytes() for _ in range(connection.recv())]
    return pickle.loads(content, buffers=map(bytearray, buffers))  # noqa: S301  # from a process of bncli's own


def _reduced(array: Array) -> Any:
    """Keep arrays outside the pickle; NumPy itself does so for its own dtypes only, not for bfloat16."""
    if array.size > 1 and not any(array.strides):  # one value, repeated
        return np.broadcast_to, (array.reshape(-1)[:1].reshape(()), array.shape)
    if not array.flags.c_contiguous or array.dtype.hasobject or not array.size:
        return array.__reduce_ex__(PROTOCOL)
    content: Any = array.reshape(-1).view(np.uint8)
    return _array, (pickle.PickleBuffer(content), array.dtype, array.shape, array.flags.writeable)


def _array(content: Any, dtype: Any, shape: tuple[int, ...], writeable: bool) -> Array:
    array = np.frombuffer(content, dtype).reshape(shape)
    array.flags.writeable = writeable
    return array
