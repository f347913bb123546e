"""Server-sent events, however the stream is cut; what is an event, a library by others tells."""

from collections.abc import AsyncGenerator
from itertools import pairwise

import httpx
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from app.llms.sse import Events

DATA = st.sampled_from(["data: one", "data:two", "data:  three", "data: Grüße \u2028", "", ""])
LINES = DATA | st.sampled_from([": alive", "datax: y", "event: x", "id: 1"])
ENDS = st.sampled_from(["\n", "\r", "\r\n"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=20).map(
    lambda lines: ("".join(line + end for line, end in lines) + "\n\n").encode()
)


async def cut(stream: bytes, places: set[int]) -> AsyncGenerator[bytes]:
    for start, end in pairwise(sorted({0, len(stream), *(p % (len(stream) + 1) for p in places)})):
        yield stream[start:end]


async def read(pieces: AsyncGenerator[bytes]) -> list[list[bytes]]:
    events, found = Events(pieces), list[list[bytes]]()
    while (together := await events.more()) is not None:
        found.append(together)
    return found


@given(STREAMS, st.sets(st.integers(0, 300)))
async def test_cuts_make_no_difference(stream: bytes, places: set[int]) -> None:
    answer = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream)
    expected = [e.data.encode() async for e in EventSource(answer).aiter_sse() if e.data]
    found = await read(cut(stream, places))
    assert [data for together in found for data in together if data] == expected


async def test_what_came_together_is_read_together() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"data: 1\n\ndata: 2\n\ndata: 3"
        yield b": still of the third\n"
        yield b"\n: keep-alive\n\ndata: never ended\n"

    assert await read(pieces()) == [[b"1", b"2"], [], [b"3: still of the third"]]
