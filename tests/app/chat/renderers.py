"""The renderers of CommonMark and GFM that people use, and what of their output leads or loads somewhere."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cmarkgfm
import mistune
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

Render = Callable[[str], str]

_MADE_BY_MARKDOWN = {
    *("html", "head", "body", "p", "br", "hr", "blockquote", "ul", "ol", "li", "pre", "code", "em"),
    *("strong", "del", "s", "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr"),
    *("th", "td", "a", "sup", "section", "input", "-text"),
}
# Some texts make marked itself fail: those it shows to nobody.
_NODE = """
const { marked } = require(process.argv[1]);
const render = (text) => { try { return marked.parse(text, { gfm: true }); } catch { return ""; } };
require("readline").createInterface({ input: process.stdin }).on("line", (line) =>
  console.log(JSON.stringify(render(JSON.parse(line)))));
"""


def build_renderers() -> dict[str, Render]:
    """By name; each renders a text to HTML with every link, image and tag that it sees."""
    gfm = MarkdownIt("gfm-like", {"html": True, "linkify": True})
    plugins = ["strikethrough", "table", "url", "footnotes", "task_lists"]
    other = mistune.create_markdown(escape=False, plugins=plugins)
    return {
        "markdown-it": MarkdownIt("commonmark").enable(["table", "strikethrough"]).render,
        "markdown-it gfm": gfm.render,
        "mistune": lambda text: str(other(text)),
        "cmark-gfm": lambda text: cmarkgfm.github_flavored_markdown_to_html(
            text, Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
        ),
    }


@contextmanager
def run_marked(folder: Path) -> Iterator[Render]:
    """The npm package below a folder's `node_modules`, in one process for all texts."""
    node = shutil.which("node")
    assert node is not None
    package = str(folder / "node_modules" / "marked")
    with subprocess.Popen(
        [node, "-e", _NODE, package], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def render(text: str) -> str:
            stdin.write(json.dumps(text) + "\n")
            stdin.flush()
            return str(json.loads(stdout.readline()))

        yield render
        stdin.close()


def find_active(html: str) -> set[str]:
    """Targets of links, and names of images and of tags that Markdown itself does not make."""
    found: set[str] = set()
    root = LexborHTMLParser(html).root
    assert root is not None
    for node in root.traverse(include_text=False):
        attributes = node.attributes
        if node.tag == "a":
            found.add(attributes.get("href") or "")
        elif node.tag == "input" and attributes.get("type") == "checkbox":
            continue
        elif node.tag not in _MADE_BY_MARKDOWN:
            found.add(f"<{node.tag}>")
        handlers = [
            name for name in attributes if name.startswith("on") or name in ("src", "style")
        ]
        found.update(
            f"{name}=" for name in handlers if not (name == "style" and node.tag in ("th", "td"))
        )
    return found
