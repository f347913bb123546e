"""`ibid usage`: show the costs of models."""

from typing import TYPE_CHECKING

import click

from app.cli.runtime import run_command
from app.cli.terminal import echo, echo_json
from app.usage.budgets import UsageReport, format_dollars

if TYPE_CHECKING:
    from app.wiring import Services


@click.command()
@click.option("--days", default=30, show_default=True, help="Number of days, including today.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def usage(days: int, as_json: bool) -> None:
    """Show the costs of models by day, user and model."""

    async def work(services: "Services") -> None:
        report = await services.usages.report(days)
        if as_json:
            echo_json(report.model_dump(mode="json"))
        else:
            _show(report)

    run_command(work)


def _show(report: UsageReport) -> None:
    for row in report.spent:
        echo(
            f"{row.day}  {row.user}  {row.model}  {row.calls} calls, {row.prompt_tokens} + "
            f"{row.completion_tokens} tokens, ${row.cost:.4f}"
        )
    echo(f"In {report.days} days: ${report.cost:.4f}.")
    for budget in report.budgets:
        limit = "no limit" if budget.limit is None else f"of {format_dollars(budget.limit)}"
        owner = f" of {budget.user}" if budget.user else ""
        echo(f"{budget.name.capitalize()} budget{owner}: ${budget.spent:.4f}, {limit}.")
