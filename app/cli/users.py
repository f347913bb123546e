"""`ibid keys` and `ibid users`: manage API keys, users and roles."""

from typing import TYPE_CHECKING

import click

from app.cli.runtime import run_command
from app.cli.terminal import echo, echo_json

if TYPE_CHECKING:
    from app.wiring import Services
    from storage.domain import Right, Role

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def keys() -> None:
    """Create, list and revoke API keys for servers."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "rights",
    multiple=True,
    default=("ask",),
    show_default=True,
    type=click.Choice(["ask", "ingest", "admin"]),
    help="What the key may do; can be repeated.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    help="Days until the key expires; by default it does not expire.",
)
def create_key(name: str, rights: "tuple[Right, ...]", days: int | None) -> None:
    """Create an API key that acts as the user key:NAME. The key is shown only once."""

    async def work(services: "Services") -> None:
        echo(await services.people.create_key(name, rights, days))
        echo("Save the key now: it is not shown again.", err=True)

    run_command(work)


@keys.command("list")
@_as_json
def list_keys(as_json: bool) -> None:
    """List the keys. The list shows their prefixes, scopes and times of last use."""

    async def work(services: "Services") -> None:
        found = await services.people.keys()
        if as_json:
            rows = [
                key.model_dump(mode="json", exclude={"digest", "user_id"}) | {"user": user.name}
                for key, user in found
            ]
            echo_json({"keys": rows})
            return
        if not found:
            echo("There are no keys yet: run `ibid keys create NAME`.")
        for key, user in found:
            used = f"used {key.used_at:%Y-%m-%d %H:%M}" if key.used_at else "never used"
            until = f", until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
            state = "" if key.is_valid else " (expired or revoked)"
            echo(f"{key.prefix}…  {user.name}  {'+'.join(key.rights)}  {used}{until}{state}")

    run_command(work)


@keys.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """Revoke the key that begins with PREFIX."""

    async def work(services: "Services") -> None:
        await services.people.revoke_key(prefix)
        echo("Revoked.")

    run_command(work)


@click.group()
def users() -> None:
    """List users, set their roles, and delete them with their data."""


@users.command("list")
@_as_json
def list_users(as_json: bool) -> None:
    """List the users, with the names that the token issuer gives them."""

    async def work(services: "Services") -> None:
        found = await services.people.users()
        if as_json:
            echo_json({"users": [user.model_dump(mode="json") for user in found]})
            return
        for user in found:
            echo(f"{user.name}  {user.role}  since {user.created_at:%Y-%m-%d}")

    run_command(work)


@users.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(["reader", "editor", "admin"]))
def set_role(name: str, role: "Role") -> None:
    """Set the role of user NAME.

    Readers ask questions, editors also ingest, admins may do everything.
    """

    async def work(services: "Services") -> None:
        await services.people.set_role(name, role)
        echo(f"{name} is {role} now.")

    run_command(work)


@users.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the user and all conversations and keys?")
def delete_user(name: str) -> None:
    """Delete user NAME with all conversations, feedback and keys."""

    async def work(services: "Services") -> None:
        await services.people.remove(name)
        echo(f"Deleted {name}.")

    run_command(work)
