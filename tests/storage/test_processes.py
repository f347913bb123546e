"""Child processes: what they see, how they are stopped, and how their messages are framed."""

import signal
import subprocess
from asyncio import StreamReader
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidInput
from storage.processes import frames
from storage.processes.frames import encode_frame, read_frame, receive
from storage.processes.spawn import open_child

CHILD = "tests.storage.child"
MESSAGES = st.lists(st.none() | st.integers(0, 1 << 60) | st.text() | st.binary(max_size=1000))


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "a key")


@pytest.mark.parametrize(("with_keys", "seen"), [(False, b"no secret\n"), (True, b"a key\n")])
async def test_a_child_sees_keys_only_if_it_is_to(with_keys: bool, seen: bytes) -> None:
    stdout = subprocess.PIPE
    async with open_child(CHILD, seconds=60, with_keys=with_keys, stdout=stdout) as child:
        assert child.stdout
        assert await child.stdout.readline() == seen
    assert child.returncode == 0, "it stopped because its input ended"


async def test_a_child_that_does_not_stop_is_killed() -> None:
    async with open_child(CHILD, "stubborn", seconds=0.01, stdout=subprocess.PIPE) as child:
        assert child.stdout
        await child.stdout.readline()
    assert child.returncode == -signal.SIGKILL


def reader_of(data: bytes) -> StreamReader:
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@given(MESSAGES, MESSAGES)
async def test_messages_arrive_as_they_were_sent(first: list[object], second: list[object]) -> None:
    sent = encode_frame(first) + encode_frame(second)
    reader, pipe = reader_of(sent), BytesIO(sent)
    for message in (first, second):
        assert msgspec.msgpack.decode(await receive(reader)) == message
        assert msgspec.msgpack.decode(read_frame(pipe)) == message


@given(MESSAGES, st.data())
async def test_a_message_that_is_cut_short_is_none(
    message: list[object], data: st.DataObject
) -> None:
    whole = encode_frame(message)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ConnectionResetError):
        await receive(reader_of(part))
    with pytest.raises(ConnectionResetError):
        read_frame(BytesIO(part))


async def test_a_message_that_is_too_large_is_neither_sent_nor_received(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announced = b"\xff\xff\xff\xff"
    with pytest.raises(ConnectionAbortedError):
        await receive(reader_of(announced))
    with pytest.raises(ConnectionAbortedError):
        read_frame(BytesIO(announced))
    monkeypatch.setattr(frames, "LARGEST_FRAME", 1 << 20)
    with pytest.raises(
        InvalidInput, match="2 MiB are too large for one message; the limit is 1 MiB"
    ):
        encode_frame(bytes(2 << 20))
