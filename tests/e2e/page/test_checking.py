"""A person checks: verdicts, quotes in their passages, and what has become of the source since."""

import re
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.retrieval.request import SearchRequest
from storage.domain import Answer, Citation, Claim, Verdict
from tests.app.api.calls import FUEL
from tests.e2e.page.conftest import BASE
from tests.e2e.page.site import PageSite
from tests.e2e.page.test_asking import ask_and_wait

QUOTE = "The lamp burns 2.4 litres of paraffin an hour."


def test_a_footnote_opens_its_quote_in_its_passage(page: Page) -> None:
    ask_and_wait(page)
    marker = page.locator(".answer").get_by_role("button", name="Footnote 1")
    marker.click()
    panel = page.get_by_role("complementary", name="Footnote 1")
    expect(panel.get_by_role("heading", name="Footnote 1")).to_be_focused()
    expect(panel.locator("mark")).to_contain_text(QUOTE)
    expect(panel).to_contain_text("Lighting the lamp › Fuel")
    before, _, after = panel.locator(".source").inner_text().partition(QUOTE)
    assert "The period of the flash tells sailors" in before
    assert "Fill the tank every morning" in after
    link = panel.get_by_role("link", name="Open the source").get_attribute("href")
    assert link
    assert link.startswith(f"{BASE}/lamp/lighting#fuel:~:text={quote(QUOTE)}")
    expect(panel).to_contain_text("peer reviewed")
    expect(marker).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(marker).to_be_focused()


def test_code_is_quoted_as_code(page: Page) -> None:
    ask_and_wait(page, "How do I light the burner?")
    page.locator(".answer pre + p .note").first.click()
    quoted = page.get_by_role("complementary").locator("mark code")
    expect(quoted).to_have_text("lampctl ignite --pressure 3")


VERDICTS: list[Verdict] = ["supported", "partial", "unsupported", "unchecked"]


@pytest.fixture
def judged(site: PageSite) -> UUID:
    """A kept answer with a claim for every verdict."""
    found = site.run_on_loop(
        site.services.search.passages(SearchRequest(FUEL, corpora=["default"], limit=1))
    )[0]
    start = found.start + found.text.index(QUOTE)
    citation = Citation(
        n=1,
        source_id=found.source_id,
        source_version=found.version,
        passage_id=found.id,
        title=found.title,
        section=found.section,
        url=found.url,
        quote=QUOTE,
        start=start,
        end=start + len(QUOTE),
    )
    text = "It burns oil. [1] It is warm. [1] It is blue. [1] It is old. [1]"
    words = re.findall(r"It \w+ \w+\.", text)
    claims = [
        Claim(
            text=each,
            start=text.index(each),
            end=text.index(each) + len(each),
            citations=(citation,),
            verdict=verdict,
            score=score,
        )
        for each, verdict, score in zip(words, VERDICTS, (0.94, 0.6, 0.12, None), strict=True)
    ]
    id_ = uuid4()
    answer = Answer(
        id=id_,
        conversation_id=id_,
        message_id=id_,
        status="answered",
        text=text,
        claims=tuple(claims),
        model="test/model",
    )
    return site.store_answer("Verdicts", "What about the lamp?", answer)


def test_verdicts_are_seen_at_a_glance(page: Page, site: PageSite, judged: UUID) -> None:
    page.goto(f"{site.url}#{judged}")
    signs = page.locator(".answer .verdict")
    expect(signs).to_have_count(4)
    shown = signs.evaluate_all("all => all.map(s => getComputedStyle(s, '::before').content)")
    assert len(set(shown)) == 4
    expect(page.get_by_role("list", name="Claims").get_by_role("listitem")).to_have_text(
        [
            "1 claim supported",
            "1 claim supported in part",
            "1 claim not supported",
            "1 claim not checked",
        ]
    )
    expect(page.get_by_text("Written by test/model.")).to_be_visible()
    page.locator(".answer .note").first.click()
    rests = page.locator(".claims li")
    expect(rests).to_have_count(4)
    expect(rests.nth(2)).to_have_text("It is blue. not supported, 0.12")


def test_a_quote_outlives_its_source(page: Page, site: PageSite, tmp_path: Path) -> None:
    quote, beacons = "A beacon is a fire on a hill.", tmp_path / "beacons.md"
    beacons.write_text(f"# Beacons 🔥\n\n🔥🔥 burns. {quote} 🔥 goes out.\n")
    site.ingest(tmp_path, "beacons")
    page.reload()
    page.get_by_role("combobox", name="In").select_option("beacons")
    ask_and_wait(page, "What is a beacon?")
    panel, marker = page.get_by_role("complementary"), page.locator(".answer .note").first
    marker.click()
    expect(panel.locator("mark")).to_have_text(quote)
    expect(panel.locator(".path")).to_contain_text(str(beacons))
    page.keyboard.press("Escape")

    beacons.write_text("# Beacons\n\nA beacon is red.\n")
    site.ingest(tmp_path, "beacons")
    marker.click()
    expect(panel).to_contain_text("The source has changed")
    expect(panel.locator("mark")).to_have_text(quote)
    expect(panel.locator(".source")).to_contain_text(f"🔥🔥 burns. {quote} 🔥 goes out.")
    page.keyboard.press("Escape")

    site.run_on_loop(site.services.library.delete("beacons"))
    marker.click()
    expect(panel).to_contain_text("The source was")
    expect(panel.locator("mark")).to_have_text(quote)


def test_what_a_page_or_a_model_injects_is_only_text(page: Page, site: PageSite) -> None:
    evil = """Burn it [1]. <script>document.title = "owned"</script>
<img src=x onerror="document.title = 'owned'"> ![x](https://evil.example/x.png)
[click](javascript:alert(1)) [away](https://evil.example)"""
    with site.answer_with(evil):
        ask_and_wait(page, "What do wreckers burn?")
    answer = page.locator(".answer")
    expect(answer).to_contain_text('<script>document.title = "owned"</script>')
    expect(answer.locator("script, img, a[href]")).to_have_count(0)
    answer.get_by_role("button", name="Footnote 1").first.click()
    panel = page.get_by_role("complementary")
    expect(panel.locator(".source")).to_contain_text(
        """<img src=x onerror="document.title = 'owned'">"""
    )
    expect(panel.locator("script, img")).to_have_count(0)
    assert "owned" not in page.title()


def test_scripts_that_came_in_all_the_same_would_not_run(
    context: BrowserContext, site: PageSite
) -> None:
    """The last line: the policy of the page, whatever the sanitiser let through."""
    page = context.new_page()
    page.goto(site.url)
    ran = page.evaluate(
        """async () => {
            const image = document.createElement("template");
            image.innerHTML = `<img src="assets/none.png" onerror="window.owned = 1">`;
            const script = document.createElement("script");
            script.textContent = "window.owned = 1";
            document.body.append(image.content, script);
            await new Promise((done) => setTimeout(done, 300));
            return window.owned === 1;
        }"""
    )
    assert ran is False
