"""Budgets that limit the cost of models, and reports of that cost."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Annotated
from uuid import UUID

from pydantic import Field

from storage.domain import Answer, Rewriting, Usage, Value
from storage.errors import BudgetSpent, FailedAttempt, InvalidInput
from storage.sql.database import Database
from storage.sql.repositories.usage import Ledger, today
from storage.sql.repositories.users import Users
from storage.sql.tables import Spending

MAX_DAYS = 366
SYSTEM_USER = "ibid"
"""The user to whom calls for embedding and ranking are charged, as they belong to no single user."""


def format_dollars(limit: float) -> str:
    """Format a limit in US dollars: with two decimals, or up to six if it has fractions of a cent."""
    return f"${limit:.2f}" if limit == round(limit, 2) else f"${limit:.6f}".rstrip("0")


class Budget(Value):
    """Limits in US dollars for all users together and for each user; None means unlimited."""

    daily: float | None = None
    monthly: float | None = None
    daily_per_user: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return self != Budget()

    async def check(self, ledger: Ledger, user_id: UUID | None) -> None:
        """Raise `BudgetSpent` if a budget is used up. Without `user_id`, the user has spent nothing yet.

        The cost of a turn is known only afterwards, so the last turn may exceed the budget.
        """
        for name, limit, since in self.limits():
            if limit is not None and await ledger.total_cost(since) >= limit:
                raise BudgetSpent(
                    f"The {name} budget of {format_dollars(limit)} is used up. Ask again "
                    f"{_NEXT_PERIOD[name]}, or raise {name.upper()}_BUDGET. Search still works."
                )
        own = self.daily_per_user
        if (
            own is not None
            and user_id is not None
            and await ledger.total_cost(today(), user_id) >= own
        ):
            raise BudgetSpent(
                f"Your daily budget of {format_dollars(own)} is used up. Ask again "
                f"{_NEXT_PERIOD['daily']}, or have DAILY_BUDGET_PER_USER raised. Search still works."
            )

    def limits(self) -> list[tuple[str, float | None, date]]:
        """Return the budgets of all users together: name, limit, and the first day of the period."""
        day = today()
        return [("daily", self.daily, day), ("monthly", self.monthly, day.replace(day=1))]


_NEXT_PERIOD = {"daily": "tomorrow (UTC)", "monthly": "next month"}


class UsageRow(Value):
    """The cost of one user's questions on one day with one model, in US dollars."""

    day: date
    user: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


class BudgetState(Value):
    """How much of a budget is spent, in US dollars; `limit` is null if it is unlimited.

    `user` is the user whose budget it is, and null for a budget of all users together. Budgets per user are
    listed only for users who spent something today.
    """

    name: str
    limit: float | None
    spent: float
    user: str | None = None


class UsageReport(Value):
    """Usage by day, newest first; costs are in US dollars, as far as the services report them."""

    days: int
    cost: float
    budgets: tuple[BudgetState, ...]
    spent: Annotated[tuple[UsageRow, ...], Field(default=())]


class UsageService:
    """A service that reports the usage recorded in the ledger."""

    def __init__(self, database: Database, budget: Budget) -> None:
        self._database = database
        self._budget = budget

    async def report(self, days: int = 30) -> UsageReport:
        """Report the usage of the last `days` days, including today; raise `InvalidInput`."""
        if not 1 <= days <= MAX_DAYS:
            raise InvalidInput(f"The number of days must be between 1 and {MAX_DAYS}, not {days}.")
        async with self._database.read_transaction() as session:
            ledger = Ledger(session)
            rows = await ledger.rows(today() - timedelta(days=days - 1))
            budgets = [
                BudgetState(name=name, limit=limit, spent=round(await ledger.total_cost(since), 6))
                for name, limit, since in self._budget.limits()
            ]
        spent = [UsageRow(user=user, **row.model_dump(exclude={"user_id"})) for row, user in rows]
        total = round(sum(usage_row.cost for usage_row in spent), 6)
        budgets += _user_budgets(self._budget.daily_per_user, spent)
        return UsageReport(days=days, cost=total, budgets=tuple(budgets), spent=tuple(spent))


class MonthlyCalls:
    """A counter of calls to a service that bills by calls, with a monthly limit; see `CallCounter`."""

    def __init__(self, database: Database, limit: int | None) -> None:
        self._database = database
        self._limit = limit

    async def take(self, model: str) -> None:
        """Count one call, or raise `BudgetSpent` at the limit.

        A call is counted before it is made, so that many processes share one limit.
        """
        async with self._database.transaction() as session:
            ledger, user = Ledger(session), await Users(session).get_or_create(SYSTEM_USER)
            month = today().replace(day=1)
            if self._limit is not None and await ledger.count_calls(user, month) >= self._limit:
                raise BudgetSpent(
                    f"the {self._limit:,} calls of COHERE_CALLS_PER_MONTH are used up until next month"
                )
            await ledger.add([Spending(user_id=user.id, day=today(), model=model, calls=1)])


def _user_budgets(limit: float | None, rows: Sequence[UsageRow]) -> list[BudgetState]:
    if limit is None:
        return []
    users = defaultdict[str, float](float)
    for row in rows:
        if row.day == today() and row.user != SYSTEM_USER:
            users[row.user] += row.cost
    return [
        BudgetState(name="daily", limit=limit, spent=round(cost, 6), user=user)
        for user, cost in sorted(users.items(), key=itemgetter(1), reverse=True)
    ]


def answer_spending(user_id: UUID, answer: Answer) -> list[Spending]:
    """Return the ledger rows of an answer: for the models that answered, rewrote the question, or failed."""
    answer_rows = (
        [_call_spending(user_id, answer.model, answer.usage)] if answer.model is not None else []
    )
    return [
        *answer_rows,
        *rewriting_spending(user_id, answer.rewriting),
        *attempts_spending(user_id, answer.attempts),
    ]


def rewriting_spending(user_id: UUID, rewriting: Rewriting | None) -> list[Spending]:
    """Return the ledger row of a rewriting; an empty list if there was none."""
    return [_call_spending(user_id, rewriting.model, rewriting.usage)] if rewriting else []


def attempts_spending(user_id: UUID, attempts: Sequence[FailedAttempt]) -> list[Spending]:
    """Return the ledger rows of failed attempts; each is one call, and an unknown cost counts as 0."""
    return [
        Spending(
            user_id=user_id, day=today(), model=attempt.model, calls=1, cost=attempt.cost or 0.0
        )
        for attempt in attempts
    ]


def _call_spending(user_id: UUID, model: str, usage: Usage) -> Spending:
    return Spending(
        user_id=user_id,
        day=today(),
        model=model,
        calls=1,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=usage.cost or 0.0,
    )
