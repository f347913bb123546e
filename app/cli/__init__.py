"""The command line: `ibid COMMAND`. Heavy modules are imported by the command that needs them."""

import click

from app.cli.answers import ask, search
from app.cli.corpora import corpora
from app.cli.db import db
from app.cli.demo import demo
from app.cli.ingest import ingest
from app.cli.people import keys, users
from app.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ibid")
def main() -> None:
    """Answers from your documentation, every claim with a footnote that opens the exact words."""


for command in (demo, ingest, search, ask, serve, corpora, keys, users, db):
    main.add_command(command)
