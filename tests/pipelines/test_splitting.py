"""Tests of passages: exact spans of canonical text that never cross a heading."""

from pathlib import Path, PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingestion.splitting import MAX_LENGTH, PassageSpan, split_document
from pipelines.readers import SourceDocument, read
from storage.errors import SourceUnreadable
from tests.pipelines.pages import read_page

SENTENCE = "The keeper winds the clock at dusk. "


def texts(reading: SourceDocument, cuts: list[PassageSpan]) -> list[str]:
    return [reading.text[cut.start : cut.end] for cut in cuts]


def test_a_section_that_fits_is_one_passage_with_its_heading() -> None:
    reading = read_page("# Lamp\n\nIt shines.\n\n## Oil\n\nFill it.\n\n- daily\n- at dawn\n")
    assert texts(reading, split_document(reading)) == [
        "Lamp\n\nIt shines.",
        "Oil\n\nFill it.\n\n- daily\n- at dawn",
    ]
    assert [cut.section for cut in split_document(reading)] == [0, 1]


def test_a_heading_without_a_body_is_no_passage() -> None:
    reading = read_page("# Lamp\n\n## Oil\n\n### Kinds\n\nParaffin.\n\n## End\n")
    assert texts(reading, split_document(reading)) == ["Kinds\n\nParaffin."]


def test_blocks_are_packed_whole_up_to_the_target() -> None:
    paragraph = SENTENCE * 10
    reading = read_page("\n\n".join([paragraph] * 5))
    lengths = [len(text) for text in texts(reading, split_document(reading))]
    assert lengths == [720, 720, 359]


def test_a_paragraph_too_long_is_cut_between_sentences() -> None:
    reading = read_page(f"# Lamp\n\n{SENTENCE * 100}")
    passages = texts(reading, split_document(reading))
    assert len(passages) > 3
    assert all(text.endswith("dusk.") and len(text) <= MAX_LENGTH for text in passages)


def test_code_and_tables_too_long_are_cut_between_lines() -> None:
    code = "\n".join(f"    lamp.turn({number})" for number in range(200))
    rows = "\n".join(f"| lamp {number} | {number} nm |" for number in range(200))
    reading = read_page(f"# Lamp\n\n```py\n{code}\n```\n\n| a | b |\n|--|--|\n{rows}\n")
    for text in texts(reading, split_document(reading)):
        assert text.splitlines()[-1].endswith((")", "nm"))
        assert len(text) <= MAX_LENGTH


def test_what_has_no_end_is_cut_at_a_space_and_else_through_the_word() -> None:
    reading = read_page("lamp " * 1000 + "\n\n" + "x" * 5000)
    passages = texts(reading, split_document(reading))
    assert all(len(text) <= MAX_LENGTH for text in passages)
    assert passages[0].endswith("lamp")
    assert "".join(passages).count("x") == 5000


def test_a_short_tail_joins_its_neighbour() -> None:
    reading = read_page(f"{SENTENCE * 24}\n\nThe end.\n\n## Next\n\nOther.")
    assert texts(reading, split_document(reading))[0].endswith("The end.")
    assert texts(reading, split_document(reading))[1] == "Next\n\nOther."


def test_a_short_lead_stays_with_what_it_introduces() -> None:
    code = "lamp.turn()\n" * 80
    reading = read_page(f"# Lamp\n\nTurn it so:\n\n```\n{code}```\n")
    assert len(split_document(reading)) == 1


def test_what_introduces_a_list_goes_with_it() -> None:
    items = "\n".join(f"- {SENTENCE * 8}" for _ in range(6))
    reading = read_page(f"{SENTENCE * 20}\n\nWhat must be done?\n\n{items}\n")
    first, second, *_ = texts(reading, split_document(reading))
    assert first.endswith("dusk.")
    assert second.startswith("What must be done?\n\n- The keeper")


def test_code_is_marked_within_each_passage() -> None:
    reading = read_page("Run:\n\n```\nlamp on\n```\n\nor\n\n    lamp off\n\n## End\n\nDone.")
    first, second = split_document(reading)
    assert [reading.text[start:end] for start, end in first.code] == ["lamp on", "lamp off"]
    assert second.code == ()


def test_code_cut_in_two_is_code_in_both() -> None:
    reading = read_page("```\n" + "lamp.turn()\n" * 200 + "```\n")
    for cut in split_document(reading):
        assert cut.code == ((cut.start, cut.end),)


WORDS = st.sampled_from(
    ["lamp", "oil wick", "x" * 90, "Is it lit? It is.", "点灯する。", "$a. B$", "`c. D`", "\u00a0", "é"]
)  # fmt: skip
PROSE = st.lists(WORDS, min_size=1, max_size=30).map(" ".join)
BLOCKS = st.one_of(
    PROSE,
    PROSE.map("- {}\n- and".format),
    PROSE.map("1. {}\n\n   more".format),
    PROSE.map("```\n{}\n\n  end\n```".format),
    PROSE.map("$$\n{}\n$$".format),
    PROSE.map("| a | b |\n|--|--|\n| {} | |".format),
    PROSE.map("# {}".format),
    PROSE.map("### {}".format),
    PROSE.map(":::note {}\nx\n:::".format),
    PROSE.map("<Tab label={{1}}>\n\n{}\n\n</Tab>".format),
    st.text(max_size=40),
)
MARKDOWN = st.lists(BLOCKS, max_size=12).map("\n\n".join)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(MARKDOWN, st.sampled_from(["a.md", "a.mdx", "a.txt", "a.html"]), st.integers(40, 1400))
def test_passages_are_exact_ordered_and_complete(source: str, name: str, maximum: int) -> None:
    try:
        reading = read(Path(name), source.encode(), PurePosixPath(name))
    except SourceUnreadable:
        return
    check_reading(reading)
    check_cuts(reading, split_document(reading, target=maximum * 2 // 3, maximum=maximum), maximum)


def check_reading(reading: SourceDocument) -> None:
    assert reading.sections[0].start == 0
    assert reading.sections[-1].end == len(reading.text)
    for section, following in zip(reading.sections, reading.sections[1:], strict=False):
        assert section.start < section.end == following.start
    position = 0
    for block in reading.blocks:
        text = reading.text[block.start : block.end]
        assert text
        assert text == text.strip()
        assert not reading.text[position : block.start].strip()
        position = block.end
    assert position == len(reading.text)


def check_cuts(reading: SourceDocument, cuts: list[PassageSpan], maximum: int) -> None:
    position = 0
    for cut in cuts:
        text = reading.text[cut.start : cut.end]
        section = reading.sections[cut.section]
        assert text
        assert text == text.strip()
        assert len(text) <= maximum
        assert section.start <= cut.start
        assert cut.end <= section.end
        assert not without_headings(reading, position, cut.start).strip()
        assert all(cut.start <= start < end <= cut.end for start, end in cut.code)
        position = cut.end
    assert not without_headings(reading, position, len(reading.text)).strip()


def without_headings(reading: SourceDocument, start: int, end: int) -> str:
    """Return the text between two passages, without complete headings."""
    for block in reversed(reading.blocks):
        if block.kind == "heading" and start <= block.start and block.end <= end:
            return without_headings(reading, start, block.start) + reading.text[block.end : end]
    return reading.text[start:end]
