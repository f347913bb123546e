"""The command line: `ibid COMMAND`. Each command imports the slow modules that it needs."""

import click

from app.cli.answers import ask, search
from app.cli.cite import cite, gaps
from app.cli.corpora import corpora
from app.cli.db import db
from app.cli.demo import demo
from app.cli.doctor import doctor
from app.cli.evaluate import evaluate
from app.cli.ingest import ingest
from app.cli.jobs import jobs, worker
from app.cli.plan import plan
from app.cli.releases import reindex, releases, rollback
from app.cli.serve import serve
from app.cli.usage import usage
from app.cli.users import keys, users
from storage.private import create_privately


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ibid")
def main() -> None:
    """Answer questions from your documentation. Every claim has a footnote that opens the exact words."""
    create_privately()


_COMMANDS = (
    demo,
    plan,
    ingest,
    search,
    ask,
    cite,
    serve,
    corpora,
    gaps,
    reindex,
    releases,
    rollback,
    jobs,
    worker,
    usage,
    doctor,
    keys,
    users,
    db,
    evaluate,
)
for command in _COMMANDS:
    main.add_command(command)
