"""Output of commands, without control characters that documents might send to the terminal."""

import json
import re
from typing import Any

import click

from app.text.visible import sanitize_for_terminal

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def echo(text: object = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print a line without control or invisible characters. Styles are those of `click.secho`."""
    click.secho(sanitize_for_terminal(str(text)), err=err, nl=nl, **style)


def echo_json(data: object) -> None:
    """Print a JSON document for programs. Unsafe characters are escaped, so a terminal can show it too."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    click.echo(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
