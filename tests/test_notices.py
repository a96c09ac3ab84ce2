"""The notices of a process that works: they arrive whole, in whatever pieces, and apart from traces."""

import os

import pytest

from bncli import notices
from bncli.notices import Notice

SENT = [(Notice.MADE, "/tmp/a\nb"), (Notice.SAVING, ""), (Notice.ENDED, "130")]


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    notices.send_to(writer)
    yield reader, writer
    notices.send_to(None)
    os.close(reader)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_notices_arrive_in_order_and_what_is_between_them_is_a_trace(pipe, size):
    reader, writer = pipe
    for notice, value in SENT:
        notices.send(notice, value)
        os.write(writer, b"trace\n\0no notice\0")
    os.close(writer)
    received, found = notices.Received(), []
    while piece := os.read(reader, size):
        found += received.take(piece)
    assert found == SENT
    assert received.trace == b"trace\n" * 3


def test_without_a_supervisor_a_notice_goes_nowhere(pipe):
    os.close(pipe[1])
    notices.send(Notice.SAVING)  # it is gone
    notices.send_to(None)
    notices.send(Notice.SAVING)
