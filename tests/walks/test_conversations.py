"""Conversations looked back on: searched, renamed, branched, rated, exported, deleted."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import func, select

from app.chat.limits import TurnLimit
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner, collect_answer
from app.conversations.views import MessageFeedback
from app.wiring import Services
from storage.domain import RIGHTS, Answer, Principal
from storage.errors import InvalidInput, NotFound, TooManyTurns
from storage.sql.repositories.conversations import ConversationCursor, Tree
from storage.sql.tables import ApiKey, Conversation, Feedback, Message, User
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs

FUEL = "How much paraffin does the lamp burn?"
LENS = "Why does the lens turn?"
ADA = Principal(name="ada", rights=RIGHTS["reader"])


@pytest.fixture
async def manual(services: Services, tmp_path: Path) -> Services:
    await services.ingestion.run([write_docs(tmp_path / "docs")])
    return services


async def texts(services: Services, conversation: UUID) -> list[str]:
    thread = await services.history.view(conversation)
    return [said.text for said in thread.messages if said.role == "user"]


async def test_a_question_is_edited_and_both_branches_are_kept(manual: Services) -> None:
    conversation = (await manual.chat.start()).id
    await manual.chat.answer(conversation, FUEL)
    second = await manual.chat.answer(conversation, LENS)
    before = (await manual.history.view(conversation)).messages
    events = manual.chat.stream(conversation, "When is it lit?", instead_of=before[2].id)
    edited = await collect_answer(events)

    after = (await manual.history.view(conversation)).messages
    assert [said.text for said in after if said.role == "user"] == [FUEL, "When is it lit?"]
    assert after[-1].id == edited.message_id
    assert set(after[2].siblings) == {before[2].id, after[2].id}
    await manual.history.select_branch(conversation, before[2].id)
    back = (await manual.history.view(conversation)).messages
    assert [said.id for said in back] == [said.id for said in before]
    assert back[-1].id == second.message_id

    first = await collect_answer(
        manual.chat.stream(conversation, "Who keeps it?", instead_of=before[0].id)
    )
    assert (await texts(manual, conversation)) == ["Who keeps it?"]
    assert first.conversation_id == conversation
    with pytest.raises(InvalidInput, match="not a question"):
        await collect_answer(manual.chat.stream(conversation, FUEL, instead_of=before[1].id))
    with pytest.raises(NotFound):
        await collect_answer(manual.chat.stream(conversation, FUEL, instead_of=uuid4()))


async def test_an_answer_is_given_again_beside_the_first(manual: Services) -> None:
    conversation = (await manual.chat.start()).id
    first = await manual.chat.answer(conversation, FUEL)
    await manual.chat.answer(conversation, LENS)
    again = await collect_answer(manual.chat.regenerate(conversation, first.message_id))
    said = (await manual.history.view(conversation)).messages
    assert [message.id for message in said[1:]] == [again.message_id]
    assert said[1].siblings == (first.message_id, again.message_id)
    once_more = await collect_answer(manual.chat.regenerate(conversation, said[0].id))
    assert once_more.text == first.text
    await manual.history.select_branch(conversation, first.message_id)
    assert await texts(manual, conversation) == [FUEL, LENS]


async def test_questions_asked_at_once_keep_one_order_for_every_reader(manual: Services) -> None:
    conversation = (await manual.chat.start()).id
    questions = [f"{FUEL} ({number})" for number in range(8)]
    await asyncio.gather(*(manual.chat.answer(conversation, text) for text in questions))
    threads = [await manual.history.view(conversation) for _ in range(3)]
    assert threads[0] == threads[1] == threads[2]
    said = threads[0].messages
    assert sorted(message.text for message in said if message.role == "user") == questions
    assert [message.role for message in said] == ["user", "assistant"] * 8
    for question, answer in zip(said[::2], said[1::2], strict=True):
        assert answer.answer is not None
        assert question.siblings == (question.id,)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_every_branch_of_a_tree_is_whole_and_comes_to_an_end(parents: list[int]) -> None:
    messages: list[Message] = []
    for number, parent in enumerate(parents):
        after = messages[parent % number].id if number else None
        messages.append(Message.question(uuid4(), str(number), after))
    tree = Tree(messages)
    for message in messages:
        branch = tree.branch(tree.leaf(message.id))
        assert message in branch
        assert [each.id for each in branch[:-1]] == [each.parent_id for each in branch[1:]]
        assert branch[0].parent_id is None
        assert message.id in tree.siblings(message)


async def test_conversations_are_paged_searched_and_renamed(services: Services) -> None:
    begun = [(await services.chat.start(f"About boats {n}")).id for n in range(7)]
    seen: list[UUID] = []
    after: ConversationCursor | None = None
    while page := await services.history.recent(3, after):
        seen += [conversation.id for conversation in page]
        after = ConversationCursor(page[-1].updated_at, page[-1].id)
    assert seen == begun[::-1]
    renamed = await services.history.rename(begun[3], "100% _sure_")
    assert renamed.title == "100% _sure_"
    for search, count in (("BOATS", 6), ("100%", 1), ("_sure_", 1), ("0_ ", 0), ("ships", 0)):
        assert len(await services.history.recent(50, None, search)) == count


async def test_what_was_said_is_searched_too(manual: Services) -> None:
    conversation = (await manual.chat.start("Title")).id
    await manual.chat.answer(conversation, FUEL)
    await manual.chat.start("Another")
    for search in ("paraffin", "2.4 LITRES"):
        assert [c.id for c in await manual.history.recent(9, None, search)] == [conversation]
    assert await manual.acting_for(ADA).history.recent(9, None, "paraffin") == []


async def test_answers_and_claims_are_rated(manual: Services) -> None:
    conversation = (await manual.chat.start()).id
    answer = await manual.chat.answer(conversation, FUEL)
    history, message = manual.history, answer.message_id
    await history.rate(conversation, message, MessageFeedback(rating="up"))
    await history.rate(
        conversation, message, MessageFeedback(rating="down", reason="Old.", claim=0)
    )
    await history.rate(conversation, message, MessageFeedback(rating="down", reason="No."))
    said = (await history.view(conversation)).messages
    assert said[1].feedback == (
        MessageFeedback(rating="down", reason="No."),
        MessageFeedback(rating="down", reason="Old.", claim=0),
    )
    for wrong in (MessageFeedback(rating="up", claim=99), MessageFeedback(rating="up", claim=-1)):
        with pytest.raises(InvalidInput, match="claims"):
            await history.rate(conversation, message, wrong)
    with pytest.raises(InvalidInput, match="Only an answer"):
        await history.rate(conversation, said[0].id, MessageFeedback(rating="up"))
    with pytest.raises(NotFound):
        await history.rate(conversation, uuid4(), MessageFeedback(rating="up"))


async def test_a_conversation_is_exported_for_people(manual: Services) -> None:
    conversation = (await manual.chat.start("Fuel\n# for keepers")).id
    answer = await manual.chat.answer(conversation, FUEL)
    markdown = (await manual.history.view(conversation)).as_markdown()
    assert markdown.startswith(f"# Fuel # for keepers\n\n## {FUEL}\n\n{answer.text}")
    for citation in answer.citations:
        assert f"]({citation.url})\n> {citation.quote}" in markdown


async def test_a_user_goes_with_all_that_is_theirs(manual: Services) -> None:
    ada = manual.acting_for(ADA)
    conversation = (await ada.chat.start()).id
    answer = await ada.chat.answer(conversation, FUEL)
    await ada.history.rate(conversation, answer.message_id, MessageFeedback(rating="up"))
    await manual.library.set_readers("default", ["user:ada"])
    mine = (await manual.chat.start()).id
    await manual.people.create_key("server", ["ask"], None)
    await manual.people.remove("ada")
    await manual.people.remove("key:server")
    with pytest.raises(NotFound):
        await manual.people.remove("ada")
    with pytest.raises(NotFound):
        await ada.history.view(conversation)
    assert (await manual.library.corpora())[0].readers == ()
    async with manual.database.read_transaction() as session:
        for table, left in ((Message, 0), (Feedback, 0), (ApiKey, 0), (User, 1)):
            assert (await session.exec(select(func.count()).select_from(table))).one() == left
        assert [c.id for c in await session.exec(select(Conversation))] == [mine]


async def test_one_user_asks_so_many_questions_at_once_and_no_more(manual: Services) -> None:
    llm = ScriptedLLM(pieces=["It burns [1]."])
    chat = ChatService(
        TurnRunner(
            manual.database, TurnEngine(manual.search, llm), limit=TurnLimit(2), principal=ADA
        )
    )
    conversation = (await chat.start()).id
    first, second = (chat.stream(conversation, FUEL) for _ in range(2))
    await anext(first)
    await anext(second)
    with pytest.raises(TooManyTurns, match="2 questions"):
        await chat.answer(conversation, FUEL)
    other = chat.acting_for(Principal(name="eve", rights=RIGHTS["reader"]))
    assert isinstance(await other.answer((await other.start()).id, FUEL), Answer)
    await first.aclose()
    assert await chat.answer(conversation, FUEL)
    await second.aclose()
    await chat.wait_until_stored()
