"""A server's list of models: asked for once a day, kept on disk, never in the way."""

from pathlib import Path

import pytest
from aiohttp import ClientSession
from llama_index.core.base.llms.types import ChatMessage

from app.llms.hosted.model import HostedLLM
from app.llms.hosted.model_limits import ModelLimitsCache, TokenLimits
from storage.errors import ModelRefused
from tests.app.llms.asking import PROMPT, ask, build_model
from tests.doubles.openrouter import CONTEXT, LONGEST
from tests.doubles.services import Doubles


def asked_for_models(doubles: Doubles) -> int:
    return sum(seen.path.endswith("/models") for seen in doubles.log)


async def test_it_is_asked_for_once_by_all_processes(
    doubles: Doubles, http: ClientSession, tmp_path: Path
) -> None:
    file = tmp_path / "models.json"
    for _ in range(2):
        catalogue = ModelLimitsCache(doubles.openrouter, http, file)
        assert await catalogue.limits("double/answers") == TokenLimits(CONTEXT, LONGEST)
        assert await catalogue.limits("double/unheard-of") is None
    assert asked_for_models(doubles) == 1
    assert await ModelLimitsCache(doubles.local, http, file).limits("double/answers")
    assert asked_for_models(doubles) == 2, "another server has other models"


@pytest.mark.parametrize("found", [b"", b"{}", b'{"models": 1}', b"\xff", b'{"x":' + b"[" * 9_000])
async def test_a_file_that_is_damaged_is_made_anew(
    doubles: Doubles, http: ClientSession, tmp_path: Path, found: bytes
) -> None:
    file = tmp_path / "models.json"
    file.write_bytes(found)
    assert await ModelLimitsCache(doubles.openrouter, http, file).limits("double/answers")
    assert file.read_bytes() != found


async def test_without_it_a_model_still_answers(
    doubles: Doubles, http: ClientSession, tmp_path: Path, unused_tcp_port: int
) -> None:
    nowhere = ModelLimitsCache(
        f"http://127.0.0.1:{unused_tcp_port}", http, tmp_path / "models.json"
    )
    assert await nowhere.models() == {}
    assert (await ask(build_model(doubles, "answers", model_limits=nowhere, http=http))).text


async def test_a_model_is_asked_for_no_more_than_it_can_give(
    doubles: Doubles, http: ClientSession, tmp_path: Path
) -> None:
    catalogue = ModelLimitsCache(doubles.openrouter, http, tmp_path / "models.json")
    llm = build_model(doubles, "answers", model_limits=catalogue, http=http, max_tokens=100_000)
    await ask(llm)
    assert doubles.log[-1].body["max_tokens"] == LONGEST
    assert llm.metadata.context_window == CONTEXT


async def test_a_long_conversation_is_shortened_to_fit(doubles: Doubles) -> None:
    system, question = PROMPT
    said = [ChatMessage(role="user", content=f"{n} " + "word " * 500) for n in range(9)]
    llm = HostedLLM.create(doubles.openrouter, "any", "double/answers", context_window=3_000)
    responses = await llm.astream_chat([system, *said, question])
    assert [response async for response in responses]
    sent = [message["content"] for message in doubles.log[-1].body["messages"]]
    assert (sent[0], sent[-1]) == (system.content, question.content)
    assert sent[-2][0] == "8", "the newest stay"
    assert len(sent) < len(said)
    with pytest.raises(ModelRefused, match="exceeds its context"):
        await llm.achat([system, ChatMessage(role="user", content="word " * 3_000)])
    assert len(doubles.log) == 1
