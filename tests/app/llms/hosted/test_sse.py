"""Server-sent events, however the stream is cut; what is an event, a library by others tells."""

from collections.abc import AsyncGenerator
from itertools import pairwise

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from app.llms.hosted.sse import EventParser

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
    events, found = EventParser(pieces), list[list[bytes]]()
    while (together := await events.next_events()) is not None:
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


async def lines(*pieces: bytes) -> list[bytes]:
    async def given() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return [data for together in await read(given()) for data in together]


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"a": 1}\ndata: {"b": 2}\ndata: [DONE]\n',
        b'\xef\xbb\xbfdata: {"a": 1}\r\n\r\ndata:{"b": 2}\r\n\r\ndata:[DONE] ',
        b' data: {"a": 1}\n\n{"b": 2}\ndata: [DONE]\n\n',
        b'{"a": 1}\n{"b": 2}\n\ndata: [DONE]',
        b': hi\nevent: x\ndata: {"a": 1}\n\nid: 7\ndata: {"b": 2}\n\ndata: [DONE]\n',
    ],
)
async def test_events_are_found_though_they_do_not_end_as_they_should(stream: bytes) -> None:
    expected = [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]
    assert await lines(stream) == expected
    assert await lines(*(stream[n : n + 1] for n in range(len(stream)))) == expected


async def test_json_may_go_over_several_lines_of_data() -> None:
    assert await lines(b'data: {"a":\ndata: 1}\n\n') == [b'{"a":\n1}']


@pytest.mark.parametrize("said", [b'{\n  "a": {\n    "b": 1\n  }\n}', b"<html>\n</html>"])
async def test_what_is_no_stream_is_one_document(said: bytes) -> None:
    assert await lines(said) == [said]


async def test_an_event_named_error_is_one() -> None:
    assert await lines(b'event: error\ndata: {"code": 1}\n\nevent: error\ndata: no\n\n') == [
        b'{"error":{"code": 1}}',
        b'{"error":true}',
    ]
