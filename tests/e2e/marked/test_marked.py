"""Twenty thousand hostile answers, rendered by everything that people render Markdown with."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.app.chat.answer.test_sanitizer import EXPLOITS, PIECES, RESTS, STARTS, answer, foreign
from tests.app.chat.renderers import build_renderers, find_active, run_marked

HERE = Path(__file__).parent
PACKAGE = (HERE / "package.json", HERE / "package-lock.json")
TEXTS = 20_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are missing"),
]


@pytest.fixture(scope="module")
def installed() -> Path:
    """What npm brings; kept between runs."""
    lock = hashlib.sha256(b"".join(path.read_bytes() for path in PACKAGE)).hexdigest()[:12]
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = caches / f"ibid-marked-{lock}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in PACKAGE:
        shutil.copy(path, folder)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


def hostile(random: Random) -> str:
    """Pieces of Markdown one after the other, or lines of them in quotations, lists and code."""
    if random.random() < 0.4:
        return "".join(random.choice(PIECES) for _ in range(random.randint(1, 25)))
    return "\n".join(
        random.choice(STARTS)
        + "".join(random.choice((*PIECES, *RESTS)) for _ in range(random.randint(0, 4)))
        for _ in range(random.randint(1, 12))
    )


def test_nothing_foreign_is_live_in_any_renderer(installed: Path) -> None:
    random = Random(2026)  # noqa: S311 - the same texts in every run
    with run_marked(installed) as render_marked:
        everything = {**build_renderers(), "marked": render_marked}
        for text in (*EXPLOITS, *(hostile(random) for _ in range(TEXTS))):
            cited = answer(text)
            for name, render in everything.items():
                assert not foreign(cited, find_active(render(cited.text))), (name, text, cited.text)
