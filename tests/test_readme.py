"""README and handbook keep their word: code runs, commands, settings, endpoints and links exist."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import FunctionType
from typing import Any

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.api import create_app
from app.cli import main
from app.settings import Settings
from pipelines.readers import SourceDocument, read
from tests.app.cli.commands import parse
from tests.library import write_docs

ROOT = Path(__file__).parent.parent
HANDBOOK = ROOT / "app" / "handbook"
GUIDES = sorted((ROOT / ".github").rglob("*.md"))
PAGES = [ROOT / "README.md", *sorted(HANDBOOK.rglob("*.md")), *GUIDES]
TEXTS = [*PAGES, ROOT / "CHANGELOG.md"]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
texts = pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)


@pytest.mark.usefixtures("llamaindex_transformations")
@pytest.mark.parametrize(
    "page", [ROOT / "README.md", HANDBOOK / "notebook.md"], ids=lambda p: p.name
)
async def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page, in order, in one namespace, beside a folder `docs`."""
    monkeypatch.setenv("IBID_HOME", str(tmp_path / "home"))
    write_docs(tmp_path / "docs")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = list(_fences(page, "python"))
    assert blocks
    for line, source in blocks:
        # The line numbers of a traceback are those of the page.
        code = compile(
            "\n" * line + source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        result = FunctionType(code, namespace)()
        if inspect.iscoroutine(result):
            await result


def test_the_two_commands_are_in_the_readme() -> None:
    commands = "\n".join(source for _, source in _fences(ROOT / "README.md", "sh")).splitlines()
    assert "pip install uv && uv run ibid demo" in commands
    assert "pip install uv && uv run --group dev pytest" in commands


@pages
def test_commands_and_options_exist(page: Path) -> None:
    """Parsed by the real command line: an unknown command or option is an error."""
    for arguments in _commands(page):
        parse(main, arguments)


@pages
def test_options_named_by_themselves_exist(page: Path) -> None:
    known = set(_options(main))
    named = {code.split()[0] for code in _inline_code(page) if re.match(r"--?[a-z]", code)}
    assert named <= known


def test_every_command_is_in_the_handbook() -> None:
    named = {arguments[0] for page in PAGES for arguments in _commands(page) if arguments}
    assert named >= set(main.list_commands(click.Context(main)))


def test_every_setting_is_in_the_handbook() -> None:
    rows = re.findall(
        r"^\| `([A-Z_0-9]+)` \|", (HANDBOOK / "settings.md").read_text(), re.MULTILINE
    )
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)


def test_every_setting_is_in_the_example_with_its_default() -> None:
    example = ROOT / ".env.example"
    names = re.findall(r"^#?([A-Z_0-9]+)=", example.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)
    assert Settings(_env_file=example) == Settings(_env_file=None)  # type: ignore[call-arg]


def test_the_example_with_sign_in_answers_to_any_name() -> None:
    settings = Settings(_env_file=ROOT / ".env.example", auth="jwt")  # type: ignore[call-arg]
    assert settings.hosts is None


def test_every_endpoint_is_in_the_handbook() -> None:
    paths = create_app(Settings()).openapi_schema.to_schema()["paths"]
    served = {
        f"{method.upper()} {re.sub('{.*?}', '{}', path)}"
        for path, operations in paths.items()
        for method in operations
    }
    table = re.findall(
        r"^\| `([A-Z]+ /[^`]*)` \|", (HANDBOOK / "rest-api.md").read_text(), re.MULTILINE
    )
    assert {re.sub("{.*?}", "{}", row.partition("?")[0]) for row in table} == served


@texts
def test_links_resolve(page: Path) -> None:
    for link in _links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in {section.anchor for section in _reading(target).sections}, link


@pages
def test_files_and_folders_exist(page: Path) -> None:
    """A path in code that begins with one of the top folders names something in the repository."""
    for code in _inline_code(page):
        if re.fullmatch(r"(?:app|pipelines|storage|tests|\.ci|\.deploy|\.github)/[\w./-]+", code):
            assert (ROOT / code).exists(), code


def test_what_the_readme_quotes_is_in_the_handbook() -> None:
    """The footnotes of its transcript name real sections and give their exact words."""
    transcript = next(source for _, source in _fences(ROOT / "README.md", "console"))
    notes = re.findall(r"^\[\d+\] (.+)\n +\S+\n +“((?:.|\n)+?)”$", transcript, re.MULTILINE)
    assert notes
    readings = {reading.title: reading for reading in map(_reading, HANDBOOK.glob("*.md"))}
    for place, quote in notes:
        title, *section = place.split(" › ")
        reading = readings[title]
        assert (title, *section) in {section.path for section in reading.sections}
        assert " ".join(quote.split()) in " ".join(reading.text.split())


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.get_params(click.Context(command)):
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            following = command.get_command(context, name)
            assert following is not None
            yield from _options(following)


def _commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every `ibid` on a page: in shell blocks, and in code within a sentence."""
    shell = "\n".join(source for _, source in _fences(page, "sh"))
    lines = shell.replace("\\\n", " ").splitlines()
    for code in (*lines, *_inline_code(page)):
        for part in re.split(r"&&|\||;", code):
            found = re.match(r"\s*(?:[A-Z_]+=\S+ )*(?:uv run )?ibid( .*)?$", part)
            if found:
                yield shlex.split(found[1] or "", comments=True)


def _tokens(page: Path) -> Iterator[Token]:
    text = page.read_text(encoding="utf-8")
    front_matter = re.match(r"---\n.*?\n---\n", text, re.DOTALL)
    body = text[front_matter.end() :] if front_matter else text
    # As many empty lines instead, so that line numbers stay right.
    above = front_matter[0].count("\n") if front_matter else 0
    for token in MarkdownIt("commonmark").enable("table").parse("\n" * above + body):
        yield token
        yield from token.children or ()


def _fences(page: Path, language: str) -> Iterator[tuple[int, str]]:
    for token in _tokens(page):
        if token.type == "fence" and token.info == language and token.map:
            yield token.map[0] + 1, token.content


def _inline_code(page: Path) -> Iterator[str]:
    return (token.content for token in _tokens(page) if token.type == "code_inline")


def _links(page: Path) -> Iterator[str]:
    return (str(token.attrs["href"]) for token in _tokens(page) if token.type == "link_open")


def _reading(page: Path) -> SourceDocument:
    return read(page, page.read_bytes(), PurePosixPath(page.name))
