"""What commands print. Text of documents cannot command the terminal that shows it."""

import json
import re
from typing import Any

import click

from app.text.visible import for_terminal

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def say(text: object = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """A line, in the style that `click.secho` takes; without control and invisible characters."""
    click.secho(for_terminal(str(text)), err=err, nl=nl, **style)


def say_json(data: object) -> None:
    """For programs: one JSON document on standard output, which a terminal may show as well."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    click.echo(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
