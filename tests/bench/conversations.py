"""Conversations of many users on Postgres: listing, opening and searching the conversations of one user."""

from random import Random
from uuid import UUID, uuid4

from sqlalchemy import text

from app.conversations.service import ConversationService
from storage.domain import RIGHTS, Answer, Citation, Claim, Principal
from storage.sql.database import Database
from tests.bench.figures import Result
from tests.bench.homes import Options
from tests.bench.timing import Samples, time_awaitable
from tests.postgres import Postgres

USERS, LISTED, SAID = 1_000, 20, 50
ROUNDS, LIMIT = 300, 30.0

_FILL = """
insert into users (id, name, role, created_at)
select gen_random_uuid(), 'user-' || n, 'reader', now()
from generate_series(0, cast(:users as int) - 1) as n;
insert into conversations (id, user_id, title, created_at, updated_at)
select gen_random_uuid(), users.id, 'About the lamp', now(), now() - random() * interval '30 days'
from users, generate_series(1, cast(:listed as int));
update conversations set title = 'Long', active_id = md5(id || '/' || cast(:said as int))::uuid
where id in (select distinct on (user_id) id from conversations order by user_id, id);
insert into messages (id, conversation_id, parent_id, role, text, answer, created_at)
select
    md5(long.id || '/' || n)::uuid, long.id, case when n > 1 then md5(long.id || '/' || n - 1)::uuid end,
    case when n % 2 = 1 then 'user' else 'assistant' end, 'How much fuel does lamp ' || n || ' burn?',
    case when n % 2 = 0 then cast(:answer as jsonb) end, now()
from conversations as long, generate_series(1, cast(:said as int)) as n
where long.active_id is not null
order by long.id, n;
analyze
"""
_LONG = """
select users.name, conversations.id from users
join conversations on conversations.user_id = users.id and conversations.active_id is not null
"""


async def run(options: Options) -> Result:
    """Measure random users; the limits apply to the 95th percentiles."""
    server = Postgres()
    server.start()
    try:
        async with Database.open(server.url()) as database:
            options.say(f"{USERS} users with {LISTED} conversations each, one of {SAID} messages")
            opened = await fill(database, USERS)
            return await _measure(options, database, opened)
    finally:
        server.close()


async def _measure(options: Options, database: Database, opened: dict[str, UUID]) -> Result:
    rounds, random = options.rounds or ROUNDS, Random(1)  # noqa: S311 - who is measured is no secret
    listing, opening, searching = Samples(), Samples(), Samples()
    history = ConversationService(database)
    for _ in range(rounds):
        name = random.choice(list(opened))
        mine = history.acting_for(Principal(name=name, rights=RIGHTS["reader"]))
        listing.seconds.append(await time_awaitable(mine.recent(50)))
        opening.seconds.append(await time_awaitable(mine.view(opened[name])))
        searching.seconds.append(await time_awaitable(mine.recent(50, None, "paraffin")))
    result = Result(
        "conversations", f"{USERS} users x {SAID} messages on Postgres; {rounds} rounds"
    )
    for name, samples, limit in (
        ("listing", listing, LIMIT),
        ("opening", opening, LIMIT),
        ("searching", searching, None),
    ):
        result.add_times(name, samples)
        result.add(f"{name}, p95", 1e3 * samples.p95, "ms", limit, part=True)
    return result


async def fill(database: Database, users: int) -> dict[str, UUID]:
    """Insert users and conversations; return the long conversation of every user by the user's name."""
    answer = _answer().model_dump_json()
    given = {"users": users, "listed": LISTED, "said": SAID, "answer": answer}
    async with database.engine.begin() as connection:
        for statement in _FILL.split(";"):
            await connection.execute(text(statement), given)
        rows = await connection.execute(text(_LONG))
        return dict(rows.all())


def _answer() -> Answer:
    said = "The lamp burns 2.4 litres of paraffin an hour, so fill its tank every morning."
    claims = tuple(
        Claim(text=said, start=0, end=len(said), citations=(_citation(n, said),)) for n in (1, 2, 3)
    )
    return Answer(
        id=uuid4(),
        conversation_id=uuid4(),
        message_id=uuid4(),
        status="answered",
        text=said,
        claims=claims,
    )


def _citation(number: int, quote: str) -> Citation:
    return Citation(
        n=number,
        source_id=uuid4(),
        source_version=1,
        passage_id=uuid4(),
        title="The lamp",
        section=("The lamp", "Fuel"),
        url="https://docs.example/lamp#fuel",
        quote=quote,
        start=0,
        end=len(quote),
    )
