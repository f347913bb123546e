"""What is left of an answer for somebody who has lost access to some of what it quotes."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.conversations.redaction import WITHHELD, redact
from storage.domain import Abstention, Answer, Citation, CitedSource, Claim, NearestSection

OPEN, HIDDEN = uuid4(), uuid4()


def citation(source: UUID, n: int) -> Citation:
    return Citation(
        n=n,
        source_id=source,
        source_version=1,
        passage_id=uuid4(),
        title="Page",
        section=("Page",),
        url="https://docs.example/page",
        quote=f"words of {source}",
        start=0,
        end=5,
    )


def answer(*parts: tuple[str, tuple[UUID, ...] | None]) -> Answer:
    """Of texts that are claims with these sources, or with None what stands between claims."""
    text, claims, sources = "", list[Claim](), list[UUID]()
    for said, cited in parts:
        if cited is not None:
            notes = tuple(citation(source, len(sources) + n) for n, source in enumerate(cited, 1))
            end = len(text) + len(said)
            claims.append(Claim(text=said, start=len(text), end=end, citations=notes))
            sources += cited
        text += said
    return Answer(
        id=uuid4(),
        conversation_id=uuid4(),
        message_id=uuid4(),
        status="answered",
        text=text,
        claims=tuple(claims),
        sources=tuple(
            CitedSource(id=source, version=1, title="Page", url="/") for source in set(sources)
        ),
    )


def test_only_claims_whose_footnotes_all_open_are_left() -> None:
    given = answer(
        ("The lamp turns.", (OPEN,)),
        (" ", None),
        ("The secret is out.", (HIDDEN,)),
        (" ", None),
        ("Both say so.", (OPEN, HIDDEN)),
        ("\n\n```\nsecret --key\n```\n\n", None),
        ("Nobody says so.", ()),
        (" ", None),
        ("It shines.", (OPEN,)),
    )
    left = redact(given, {HIDDEN})
    assert [claim.text for claim in left.claims] == ["The lamp turns.", "It shines."]
    assert left.text == f"The lamp turns. {WITHHELD} It shines."
    assert [source.id for source in left.sources] == [OPEN]
    assert redact(given, set()) is given


def test_the_nearest_sections_of_a_declined_question_are_withheld_too() -> None:
    near = NearestSection(
        source_id=HIDDEN, passage_id=uuid4(), title="Secret", section=("Secret",), url="/secret"
    )
    declined = answer().model_copy(
        update={
            "status": "abstained",
            "text": "The nearest is [Secret](/secret)",
            "abstention": Abstention(reason="nothing_relevant", nearest=(near,)),
        }
    )
    assert "ecret" not in redact(declined, {HIDDEN}).model_dump_json()


parts = st.tuples(
    st.text("ab \n", min_size=1, max_size=8),
    st.one_of(st.none(), st.lists(st.sampled_from([OPEN, HIDDEN]), max_size=2).map(tuple)),
)


@given(st.lists(parts, max_size=8))
def test_whatever_the_answer_its_claims_keep_their_places_and_nothing_hidden_stays(
    said: list[tuple[str, tuple[UUID, ...] | None]],
) -> None:
    whole = answer(*said)
    left = redact(whole, {HIDDEN})
    assert str(HIDDEN) not in left.model_dump_json()
    for claim in left.claims:
        assert left.text[claim.start : claim.end] == claim.text
