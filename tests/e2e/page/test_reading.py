"""Every person: by keyboard alone, on a phone, from right to left, in the dark."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app.api.calls import FUEL
from tests.e2e.page.site import PageSite
from tests.e2e.page.test_asking import ask_and_wait

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
RELAY = "How is the relay joined to its terminals by copper?"
phone = pytest.mark.parametrize("context", [PHONE], indirect=True)
dark = pytest.mark.parametrize("context", [{"color_scheme": "dark"}], indirect=True)


def tab_to(page: Page, target: Locator, most: int = 30) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached by Tab")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.type(FUEL)
    page.keyboard.press("Enter")
    marker = page.locator(".answer .note").first
    expect(page.get_by_role("button", name="Copy as Markdown")).to_be_visible()
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if marker.evaluate("element => element === document.activeElement"):
            break
    expect(marker).to_be_focused()
    assert marker.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Footnote 1")).to_be_focused()
    tab_to(page, page.get_by_role("link", name="Open the source"), 2)
    tab_to(page, page.get_by_role("button", name="Close", exact=True), 2)
    page.keyboard.press("Enter")
    expect(marker).to_be_focused()

    page.reload()
    expect(marker).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    skip = page.get_by_role("link", name="Skip to the question")
    tab_to(page, skip)
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()


def test_shift_and_enter_makes_a_new_line(page: Page) -> None:
    question = page.get_by_role("textbox", name="Question")
    question.press_sequentially("One")
    question.press("Shift+Enter")
    question.press_sequentially("two")
    expect(question).to_have_value("One\ntwo")
    expect(page.get_by_role("article")).to_have_count(0)


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@phone
def test_a_phone_is_wide_enough(page: Page, site: PageSite) -> None:
    assert fits(page)
    wide = "| a | b | c | d |\n|---|---|---|---|\n" + f"| {'wide ' * 9}" * 4 + "|"
    word = "x" * 200
    with site.answer_with(
        f"The command [1]:\n\n```sh\n{'terminal ' * 40}\n```\n\n{wide}\n\n{word}"
    ):
        ask_and_wait(page, RELAY)
    assert fits(page)
    page.locator(".answer .note").first.click()
    panel = page.get_by_role("complementary")
    expect(panel.locator("mark")).to_be_in_viewport()
    assert fits(page)
    expect(page.get_by_role("main")).to_have_attribute("inert", "")  # it lies below the sheet
    panel.get_by_role("button", name="Close").click()
    expect(page.get_by_role("main")).not_to_have_attribute("inert", "")

    sidebar = page.get_by_role("navigation", name="Conversations")
    expect(sidebar).to_have_count(0)
    page.get_by_role("button", name="Conversations").click()
    expect(sidebar.get_by_role("link", name=RELAY).first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(sidebar).to_have_count(0)
    expect(page.get_by_role("button", name="Conversations")).to_be_focused()


def direction(locator: Locator) -> str:
    return locator.evaluate("element => getComputedStyle(element).direction")


def test_text_runs_from_right_to_left_where_it_should(page: Page, site: PageSite) -> None:
    with site.answer_with("המנורה שורפת שני ליטר פרפין. [1]\n\nIn English: two litres."):
        ask_and_wait(page, "מה שורפת המנורה?")
    assert direction(page.get_by_role("heading", level=2)) == "rtl"
    paragraphs = page.locator(".answer p")
    assert [direction(paragraphs.nth(n)) for n in range(2)] == ["rtl", "ltr"]
    paragraphs.first.get_by_role("button").click()
    assert direction(page.locator(".source")) == "rtl"
    expect(page.locator("mark")).to_contain_text("המנורה שורפת שני ליטר פרפין")


def contrast(locator: Locator) -> float:
    """WCAG's ratio of an element's text to what is painted below it."""
    return locator.evaluate(
        """element => {
            const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            const rgb = (colour) => {
                canvas.clearRect(0, 0, 1, 1);
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data];
            };
            const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
            let below = element;
            while (rgb(getComputedStyle(below).backgroundColor)[3] === 0) below = below.parentElement;
            const [a, b] = [getComputedStyle(element).color, getComputedStyle(below).backgroundColor]
                .map((colour) => light(rgb(colour))).sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        }"""
    )


@pytest.mark.parametrize(
    "context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True
)
def test_words_stand_out_by_day_and_by_night(page: Page) -> None:
    ask_and_wait(page)
    page.locator(".answer .note").first.click()
    expect(page.locator("mark")).to_be_visible()
    for name in (
        *(".answer p", ".question", ".answer .note", ".verdicts li", ".notes .quote", "#title"),
        *(".actions span", "mark", ".around", ".place", "#panel a", "#hint", "#conversations time"),
    ):
        assert contrast(page.locator(name).first) >= 4.5, name


@dark
def test_night_is_dark(page: Page) -> None:
    shades = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert max(shades) < 64


def test_what_is_shown_has_names_and_landmarks(page: Page) -> None:
    ask_and_wait(page)
    page.locator(".answer .note").first.click()
    for role in ("navigation", "main", "complementary"):
        expect(page.get_by_role(role)).to_have_count(1)
    unnamed = page.locator("button, a, textarea, select").evaluate_all(
        """all => all.filter(each => each.checkVisibility()
            && !(each.ariaLabel || each.textContent.trim() || each.labels?.length)).length"""
    )
    assert unnamed == 0
    assert page.locator("h1").count() == 1
