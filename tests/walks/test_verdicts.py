"""What a reader is told of an answer's worth: verdicts, and in strict mode nothing unsupported."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.chat.events import ChatEvent, Cited, Completed, Token
from app.chat.request import AnswerRequest
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.settings import Settings
from app.verification.checker import Verify
from app.verification.llm_judge import LLMJudge
from app.verification.local.verifier import LocalVerifier
from app.wiring import Services, open_services
from storage.domain import Answer
from storage.embeddings.local import LocalEmbedding
from tests.doubles.erring import ErringLLM
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs

pytestmark = pytest.mark.asyncio(loop_scope="module")

FUEL = "How much paraffin does the lamp burn?"
"""Its best passage, which a script calls [1], is the section “Fuel”."""
TRUE = "Each hour the lamp uses 2.4 litres of paraffin [1]."
WRONG = "It holds 90 litres in the tank on Sundays [1]."
INVENTED = "The keeper was born in Genoa."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manual(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    folder = tmp_path_factory.mktemp("manual")
    async with open_services(Settings.model_construct(ibid_home=folder / "home")) as services:
        await services.ingestion.run([write_docs(folder / "docs")])
        yield services


def scripted_chat(
    services: Services, *pieces: str, verify: Verify = "mark", judge: str | None = None
) -> ChatService:
    llm = ScriptedLLM(pieces=list(pieces))
    verifier = LLMJudge(ScriptedLLM(pieces=[judge])) if judge else LocalVerifier(LocalEmbedding())
    return ChatService(
        TurnRunner(services.database, TurnEngine(services.search, llm, verifier, verify))
    )


async def events_of(chat: ChatService) -> list[ChatEvent]:
    return [event async for event in chat.stream((await chat.start()).id, FUEL)]


async def ask(chat: ChatService) -> Answer:
    last = (await events_of(chat))[-1]
    assert isinstance(last, Completed)
    return last.answer


def verdicts(answer: Answer) -> list[str]:
    return [claim.verdict for claim in answer.claims]


async def test_every_claim_has_a_verdict_and_a_score(manual: Services) -> None:
    answer = await ask(scripted_chat(manual, f"{TRUE} {WRONG} {INVENTED}"))
    assert verdicts(answer) == ["supported", "unsupported", "unsupported"]
    scores = [claim.score for claim in answer.claims]
    assert all(score is not None and 0 <= score <= 1 for score in scores)
    assert answer.claims[2].flags == ("uncited",)
    assert answer.claims[0].text == "Each hour the lamp uses 2.4 litres of paraffin."


async def test_what_the_extractive_model_quotes_is_supported(manual: Services) -> None:
    conversation = (await manual.chat.start()).id
    answer = await manual.chat.answer(conversation, FUEL)
    assert set(verdicts(answer)) == {"supported"}
    assert {claim.score for claim in answer.claims} == {1.0}


async def test_a_marker_on_the_wrong_passage_is_found_out(manual: Services) -> None:
    elsewhere = TRUE.replace("[1]", "[5]")
    assert verdicts(await ask(scripted_chat(manual, elsewhere))) == ["unsupported"]


async def test_an_introduction_is_no_claim(manual: Services) -> None:
    answer = await ask(scripted_chat(manual, f"Here is what it says:\n\n{TRUE}"))
    assert verdicts(answer) == ["unchecked", "supported"]


async def test_a_block_of_code_is_quoted_by_its_fence(manual: Services, tmp_path: Path) -> None:
    code = "lampctl ignite --pressure 3 --wick new --clockwork wound --shutters open --log on --by keeper"
    (tmp_path / "relight.md").write_text(f"# Relighting\n\nTo relight it:\n\n```sh\n{code}\n```\n")
    await manual.ingestion.run([tmp_path], "relighting")
    chat = scripted_chat(manual, f"Run this:\n\n```sh\n{code}\n```\n[1]")
    thread = await chat.start()
    answer = await chat.answer(
        thread.id, AnswerRequest("Relighting: how do I relight it?", corpora=["relighting"])
    )
    assert [(claim.text, claim.flags) for claim in answer.claims if claim.citations] == [(code, ())]


async def test_twelve_words_of_a_source_want_quotation_marks(manual: Services) -> None:
    words = "Fill the tank every morning, and never while the burner is hot"
    for said, flags in ((words, ("verbatim",)), (f"“{words}”", ()), (words[:-7], ())):
        answer = await ask(scripted_chat(manual, f"{said} [1]."))
        assert [claim.flags for claim in answer.claims] == [flags]


@pytest.mark.parametrize("pause", [1, 7, 1000])
async def test_a_strict_answer_goes_without_what_nothing_supports(
    manual: Services, pause: int
) -> None:
    said = f"{TRUE} {WRONG} {INVENTED}\n\n- Fill the tank every morning [1]."
    pieces = [said[i : i + pause] for i in range(0, len(said), pause)]
    events = await events_of(scripted_chat(manual, *pieces, verify="strict"))
    text = "".join(event.text for event in events if isinstance(event, Token))
    last = events[-1]
    assert isinstance(last, Completed)
    assert text == last.answer.text
    assert "90" not in text
    assert "Genoa" not in last.answer.model_dump_json()
    assert text.endswith("\n\n- Fill the tank every morning [2].")
    told = [(claim.verdict, claim.flags) for claim in last.answer.claims]
    assert told == [
        ("supported", ()),
        ("unsupported", ("withheld",)),
        ("unsupported", ("withheld",)),
        ("supported", ()),
    ]
    assert [event.citation.n for event in events if isinstance(event, Cited)] == [1, 2]
    for claim in last.answer.claims:
        assert claim.text == "" or text[claim.start : claim.end].startswith(claim.text[:10])


async def test_a_strict_answer_of_which_nothing_is_left_is_declined(manual: Services) -> None:
    events = await events_of(scripted_chat(manual, WRONG, verify="strict"))
    last = events[-1]
    assert isinstance(last, Completed)
    assert last.answer.status == "abstained"
    assert last.answer.abstention is not None
    assert last.answer.abstention.reason == "not_supported"
    assert last.answer.abstention.nearest
    assert "".join(e.text for e in events if isinstance(e, Token)) == last.answer.text


async def test_an_answer_without_a_footnote_declines(manual: Services) -> None:
    answer = await ask(scripted_chat(manual, "The passages do not say."))
    assert answer.status == "abstained"
    assert answer.text == "The passages do not say."
    assert answer.abstention is not None
    assert answer.abstention.reason == "not_supported"


@pytest.mark.parametrize(
    ("said", "verdict", "score"),
    [
        ("supported", "supported", 1.0),
        ("Partially.", "partial", 0.5),
        ("**Not supported**", "unsupported", 0.0),
        ("I would rather not say", "unchecked", None),
    ],
)
async def test_a_language_model_can_be_the_judge(
    manual: Services, said: str, verdict: str, score: float | None
) -> None:
    answer = await ask(scripted_chat(manual, TRUE, judge=said))
    assert [(claim.verdict, claim.score) for claim in answer.claims] == [(verdict, score)]


async def test_a_judge_that_fails_leaves_the_claim_unchecked(manual: Services) -> None:
    failing = LLMJudge(ScriptedLLM(pieces=["supported"], fails_after=0))
    engine = TurnEngine(manual.search, ScriptedLLM(pieces=[TRUE]), failing)
    chat = ChatService(TurnRunner(manual.database, engine))
    assert verdicts(await ask(chat)) == ["unchecked"]
    strict = ChatService(
        TurnRunner(
            manual.database,
            TurnEngine(manual.search, ScriptedLLM(pieces=[TRUE]), failing, "strict"),
        )
    )
    assert (await ask(strict)).status == "abstained"


async def test_a_model_that_errs_is_caught_and_one_that_paraphrases_is_not(
    manual: Services,
) -> None:
    told: dict[str, list[str]] = {}
    for seed in range(6):
        llm = ErringLLM(seed=seed)
        engine = TurnEngine(manual.search, llm, LocalVerifier(LocalEmbedding()))
        answer = await ask(ChatService(TurnRunner(manual.database, engine)))
        assert len(answer.claims) == len(llm.log)
        for (error, _), claim in zip(llm.log, answer.claims, strict=True):
            told.setdefault(error, []).append(claim.verdict)
    passed = {
        error: verdicts.count("supported") / len(verdicts) for error, verdicts in told.items()
    }
    assert passed["none"] >= 0.8, passed
    assert all(passed[error] <= 0.05 for error in ("number", "entity", "invented", "marker")), (
        passed
    )
