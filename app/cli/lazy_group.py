"""A click group that imports a command only when that command is called.

See "Lazily Loading Subcommands" in click's documentation.
"""

import gc
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

Sections = Mapping[str, Mapping[str, tuple[str, str]]]
"""For each heading of the help: the import path and the short help of each command, by name."""


class LazyGroup(click.Group):
    """A group whose own help and shell completion import none of its commands."""

    def __init__(self, *arguments: Any, sections: Sections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sections = sections
        self._paths: dict[str, str] = {}
        for commands in sections.values():
            for name, (path, short_help) in commands.items():
                self._paths[name] = path
                self.add_command(click.Command(name, short_help=short_help))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; return None if there is no command of that name."""
        if cmd_name not in self._paths:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._paths[cmd_name].rpartition(".")
        with fast_imports():
            return getattr(import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands below their headings, in the order of the sections."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), text) for name, (_, text) in commands.items()]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with `incomplete`."""
        commands = [
            CompletionItem(name, help=command.short_help)
            for name, command in self.commands.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


@contextmanager
def fast_imports() -> Generator[None]:
    """Pause the garbage collector, which would take a tenth of the time of imports and find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
