"""The endpoint for the costs of models."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from app.usage.budgets import UsageReport, UsageService


class UsageController(Controller):
    """`/api/v1/usage`."""

    path = "/usage"
    tags = ("usage",)
    opt = {"right": "admin"}  # noqa: RUF012 - Litestar declares it so

    @get("/", summary="Read the costs of models")
    async def report(
        self, usages: NamedDependency[UsageService], days: FromQuery[int] = 30
    ) -> UsageReport:
        """Return the costs by day, user and model, and what is left of the budgets."""
        return await usages.report(days)
