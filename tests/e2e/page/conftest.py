"""Headless Chromium before a real server; any error of the page is an error of the test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.page.site import PageSite, run_site
from tests.library import write_docs

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
BASE = "https://keeper.example"
AWKWARD = {
    "hostile.md": """# Wreckers

Wreckers burn a false <b onclick="owned()">beacon</b> on the cliff.

```html
<script>document.title = "owned"</script><img src=x onerror="document.title = 'owned'">
```
""",
    "hebrew.md": "# המגדלור\n\nהמנורה שורפת שני ליטר פרפין בשעה. הפעמון מצלצל בערפל.\n",
    "wide.md": f"""# Relay wiring

The relay is wired by one long command that joins the relay to its terminals by copper:

```sh
{" ".join(f"--terminal-{n}=copper" for n in range(40))}
```
""",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is below this folder wants a browser, and takes a while."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.skipif(not CHROMIUM, reason="there is no chromium"))


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSite]:
    """The keeper's manual, and pages that are awkward to show."""
    folder = tmp_path_factory.mktemp("page")
    with run_site(folder) as site:
        site.ingest(write_docs(folder / "docs"), base_url=BASE)
        for name, text in AWKWARD.items():
            (folder / "awkward").mkdir(exist_ok=True)
            (folder / "awkward" / name).write_text(text, encoding="utf-8")
        site.ingest(folder / "awkward", "awkward", BASE)
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Gone before other tests begin: Playwright's event loop runs in their thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """As a test wants it: `@pytest.mark.parametrize("context", [{...}], indirect=True)`."""
    options = {"reduced_motion": "reduce", **getattr(request, "param", {})}
    context = browser.new_context(**options)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: PageSite) -> Iterator[Page]:
    """The page, empty of conversations; it must complain of nothing and fetch from nowhere else."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("request", lambda sent: complaints.append(sent.url) if is_foreign(sent.url) else None)

    def is_foreign(url: str) -> bool:
        return not url.startswith(site.url)

    page.goto(site.url)
    page.get_by_role("heading", name="What would you like to know?").wait_for()
    yield page
    assert [told for told in complaints if not told.startswith("Failed to load resource:")] == []
