"""`python -m tests.e2e.page`: takes the picture of the chat page that README and handbook show."""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import app
from tests.e2e.page.conftest import CHROMIUM, FLAGS
from tests.e2e.page.site import run_site

HANDBOOK = Path(app.__file__).parent / "handbook"
PICTURE = HANDBOOK / "images" / "chat.png"
QUESTIONS = ("What does a citation guarantee?", "How do I stream an answer?")


def take() -> None:
    """Ibid's own handbook, asked; the colours are few enough for a palette."""
    with tempfile.TemporaryDirectory() as folder, run_site(Path(folder)) as site:
        site.ingest(HANDBOOK, "handbook", "https://docs.example.com")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 760})
            for question in QUESTIONS:
                page.goto(site.url)
                page.locator("#question").fill(question)
                page.keyboard.press("Enter")
                page.locator(".actions").wait_for()
            page.locator(".answer .note").first.click()
            page.locator("mark").wait_for()
            shot = page.screenshot(animations="disabled")
            browser.close()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(PICTURE, optimize=True)


if __name__ == "__main__":
    take()
