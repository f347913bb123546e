"""What is asked of SQL, one class a noun; repositories never commit, services do."""

from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, delete, exists, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import Answer, Citation, Edition
from storage.errors import AlreadyExists, NotFound
from storage.tables import (
    CitedVersion,
    Conversation,
    Corpus,
    Message,
    Release,
    Source,
    SourceText,
    User,
)


class Corpora:
    """The corpora there are."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> list[Corpus]:
        """By name."""
        return list(await self._session.exec(select(Corpus).order_by(col(Corpus.name))))

    async def get(self, name: str) -> Corpus:
        """Raises `NotFound`, naming those that exist."""
        corpus = await self._session.get(Corpus, name)
        if corpus is None:
            raise NotFound("corpus", name, _known([corpus.name for corpus in await self.all()]))
        return corpus

    async def add(self, corpus: Corpus) -> None:
        """Raises `AlreadyExists`."""
        if await self._session.get(Corpus, corpus.name) is not None:
            raise AlreadyExists(f"There is a corpus {corpus.name!r} already.")
        self._session.add(corpus)

    async def find(self, name: str) -> Corpus | None:
        """None when there is none by that name."""
        return await self._session.get(Corpus, name)

    async def remove(self, name: str) -> None:
        """With its sources and their texts; conversations keep what they quoted."""
        await self._session.delete(await self.get(name))


class Sources:
    """The sources of all corpora, and the texts of their versions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, corpus: str) -> list[Source]:
        """Every source a corpus has ever had, those since removed too."""
        return list(await self._session.exec(select(Source).where(col(Source.corpus) == corpus)))

    async def live(self, corpora: Sequence[str], limit: int, offset: int) -> list[Source]:
        """Those that serve, by corpus and location."""
        statement = (
            select(Source)
            .where(col(Source.corpus).in_(corpora), _is_live())
            .order_by(col(Source.corpus), col(Source.location))
        )
        return list(await self._session.exec(statement.limit(limit).offset(offset)))

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Live sources and their passages, by corpus."""
        rows = await self._session.exec(
            select(Source.corpus, func.count(), func.sum(Source.passages))
            .where(_is_live())
            .group_by(col(Source.corpus))
        )
        return {corpus: (sources, int(passages or 0)) for corpus, sources, passages in rows}

    async def editions(self, corpora: Sequence[str]) -> list[Edition]:
        """The versions and languages that serve, each once."""
        statement = (
            select(Source.corpus, Source.docs_version, Source.locale)
            .where(col(Source.corpus).in_(corpora), _is_live())
            .distinct()
        )
        rows = await self._session.exec(statement)
        return [Edition(corpus=name, version=version, locale=at) for name, version, at in rows]

    async def get(self, source_id: UUID) -> Source:
        """Raises `NotFound`."""
        source = await self._session.get(Source, source_id)
        if source is None:
            raise NotFound("source", source_id)
        return source

    async def save(self, sources: Sequence[Source], texts: Sequence[SourceText] = ()) -> None:
        """Sources read in an earlier session, or new; texts written before are replaced."""
        self._session.add_all(sources)
        await self._session.flush()
        for text in texts:
            await self._session.merge(text)

    async def text(self, source_id: UUID, version: int | None) -> SourceText:
        """The canonical text of a version, by default the live one; raises `NotFound`."""
        source = await self.get(source_id)
        found = await self._session.get(SourceText, (source_id, version or source.version))
        if found is None:
            raise NotFound(
                f"version of source {source_id}",
                version or source.version,
                "A text is kept while its version is live or cited.",
            )
        return found

    async def texts(self, versions: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], str]:
        """Canonical texts of several versions at once; those no longer kept are left out."""
        wanted = [
            and_(col(SourceText.source_id) == source_id, col(SourceText.version) == version)
            for source_id, version in set(versions)
        ]
        if not wanted:
            return {}
        statement = select(SourceText.source_id, SourceText.version, SourceText.text)
        rows = await self._session.exec(statement.where(or_(*wanted)))
        return {(source_id, version): text for source_id, version, text in rows}

    async def moved_on(
        self, citations: Iterable[Citation]
    ) -> dict[UUID, Literal["changed", "gone"]]:
        """Which cited sources no longer serve the version that was quoted, or not at all."""
        cited = {citation.source_id: citation.source_version for citation in citations}
        if not cited:
            return {}
        rows = await self._session.exec(select(Source).where(col(Source.id).in_(cited)))
        live = {source.id: source.version for source in rows if source.is_live}
        states: dict[UUID, Literal["changed", "gone"]] = {}
        for source_id, version in cited.items():
            if source_id not in live:
                states[source_id] = "gone"
            elif live[source_id] != version:
                states[source_id] = "changed"
        return states

    async def forget_digests(self) -> None:
        """Make every source look changed: for when the index that held their passages is gone."""
        await self._session.exec(update(Source).values(digest=None, staged=None))

    async def prune_texts(self) -> None:
        """Drop the texts of versions that are neither live, nor being written, nor cited."""
        cited = exists().where(
            col(CitedVersion.source_id) == col(SourceText.source_id),
            col(CitedVersion.version) == col(SourceText.version),
        )
        needed = exists().where(
            col(Source.id) == col(SourceText.source_id),
            or_(
                and_(_is_live(), col(Source.version) == col(SourceText.version)),
                col(Source.staged).is_not(None),
            ),
        )
        await self._session.exec(delete(SourceText).where(~cited, ~needed))


class Releases:
    """The indexes that were built."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, collection: str) -> Release | None:
        """None when there is none by that name."""
        return await self._session.get(Release, collection)

    async def save(self, release: Release) -> None:
        """Adds it, or takes over what it says."""
        await self._session.merge(release)


class Users:
    """Who owns conversations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def named(self, name: str) -> User:
        """Made at first sight."""
        user = (await self._session.exec(select(User).where(col(User.name) == name))).first()
        if user is None:
            user = User(name=name)
            self._session.add(user)
            await self._session.flush()
        return user


class Conversations:
    """The conversations of one user, and the messages in them: another's are not found."""

    def __init__(self, session: AsyncSession, user: User) -> None:
        self._session = session
        self._user = user

    async def recent(self, limit: int, offset: int) -> list[Conversation]:
        """Newest first."""
        statement = (
            select(Conversation)
            .where(col(Conversation.user_id) == self._user.id)
            .order_by(col(Conversation.updated_at).desc(), col(Conversation.id))
        )
        return list(await self._session.exec(statement.limit(limit).offset(offset)))

    async def get(self, conversation_id: UUID) -> Conversation:
        """Raises `NotFound`, for another user's too."""
        conversation = await self._session.get(Conversation, conversation_id)
        if conversation is None or conversation.user_id != self._user.id:
            raise NotFound("conversation", conversation_id)
        return conversation

    def start(self, title: str = "") -> Conversation:
        """A new one, saved with the session."""
        conversation = Conversation(user_id=self._user.id, title=title)
        self._session.add(conversation)
        return conversation

    async def remove(self, conversation_id: UUID) -> None:
        """With all its messages."""
        await self._session.delete(await self.get(conversation_id))
        await self._session.flush()

    async def messages(self, conversation_id: UUID, last: int | None = None) -> list[Message]:
        """Oldest first; only the `last` ones, if given."""
        statement = (
            select(Message)
            .where(col(Message.conversation_id) == conversation_id)
            .order_by(col(Message.seq).desc())
            .limit(last)
        )
        return list(await self._session.exec(statement))[::-1]

    async def reply(self, message_id: UUID) -> Answer:
        """The answer with this id; raises `NotFound`, for another user's too."""
        statement = (
            select(Message)
            .join(Conversation)
            .where(col(Message.id) == message_id, col(Conversation.user_id) == self._user.id)
        )
        message = (await self._session.exec(statement)).first()
        if message is None or message.answer is None:
            raise NotFound("answer", message_id)
        return message.answer

    async def exchanges(self, last: int) -> list[tuple[str, Answer]]:
        """Questions with their answers, latest first; a question that got none is left out."""
        statement = (
            select(Message)
            .join(Conversation)
            .where(col(Conversation.user_id) == self._user.id)
            .order_by(col(Message.seq).desc())
            .limit(last)
        )
        pending: dict[UUID, Answer] = {}
        found: list[tuple[str, Answer]] = []
        for message in await self._session.exec(statement):
            if message.answer is not None:
                pending[message.conversation_id] = message.answer
            elif answer := pending.pop(message.conversation_id, None):
                found.append((message.text, answer))
        return found

    async def add(self, message: Message) -> None:
        """Keeps the message, and for an answer which versions it cites."""
        self._session.add(message)
        await self._session.flush()
        if message.answer is not None:
            cited = {(c.source_id, c.source_version) for c in message.answer.citations}
            self._session.add_all(
                CitedVersion(message_id=message.id, source_id=source_id, version=version)
                for source_id, version in cited
            )


def _is_live() -> ColumnElement[bool]:
    return and_(col(Source.version) > 0, col(Source.removed_at).is_(None))


def _known(names: Sequence[str]) -> str:
    if not names:
        return "Nothing has been ingested yet: run `ibid ingest PATH`."
    return f"There are: {', '.join(names)}."
