"""What the local verifier lets pass, and what it does not."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.verification.local.verifier import LocalVerifier
from storage.embeddings.local import LocalEmbedding
from tests.app.verification.perturbations import generate_claims, perturb_claims

VERIFIER = LocalVerifier(LocalEmbedding())
FUEL = (
    "The lamp burns 2.4 litres of paraffin an hour. Fill the tank every morning, and never while the "
    "burner is hot. Increasing the pressure reduces the smoke. All vents must be open."
)


async def verdict(claim: str, *evidence: str, language: str = "en") -> str:
    return (await VERIFIER.judge(claim, evidence or (FUEL,), language)).verdict


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("Each hour the lamp burns 2.4 litres of paraffin.", {"supported"}),
        ("“The lamp burns 2.4 litres of paraffin an hour.”", {"supported"}),
        ("The tank is filled every morning.", {"supported"}),
        ("Each hour the lamp burns 3.4 litres of paraffin.", {"partial", "unsupported"}),
        ("Each hour the lamp burns 2.4 litres of Brent crude.", {"partial", "unsupported"}),
        ("The lamp does not burn 2.4 litres of paraffin an hour.", {"unsupported"}),
        ("All vents must be closed.", {"partial", "unsupported"}),
        ("The keeper sails to the market on Fridays.", {"unsupported"}),
        ("", {"unsupported"}),
        ("…", {"unsupported"}),
        ("It is so.", {"unsupported"}),
    ],
)
async def test_a_claim_is_held_against_its_evidence(claim: str, expected: set[str]) -> None:
    assert await verdict(claim) in expected


async def test_without_evidence_nothing_is_supported() -> None:
    given_ = await VERIFIER.judge("The lamp burns paraffin.", [])
    assert (given_.verdict, given_.score) == ("unsupported", 0.0)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("The fleet has twenty-five boats.", "The fleet has 25 boats."),
        ("It cost 5 million pounds.", "It cost 5,000,000 pounds in all."),
        ("The fleet has 1,200 boats.", "The fleet has 1200 boats."),
        ("The NLB runs the fleet.", "The Northern Lighthouse Board runs the fleet."),
    ],
)
async def test_a_number_or_a_name_may_be_written_otherwise(claim: str, evidence: str) -> None:
    assert await verdict(claim, evidence) == "supported"


async def test_wrong_numbers_dates_and_names_do_not_pass_and_hardly_any_negation_does() -> None:
    kinds, passed = Counter[str](), Counter[str]()
    for case in perturb_claims(500, seed=7):
        kinds[case.kind] += 1
        passed[case.kind] += await verdict(case.false, case.passage) == "supported"
    assert kinds.total() == 500
    facts = ("number", "date", "name")
    assert sum(passed[k] for k in facts) <= 0.02 * sum(kinds[k] for k in facts), passed
    assert passed["negation"] <= 0.10 * kinds["negation"], (passed, kinds)


async def test_most_true_claims_in_other_words_pass() -> None:
    told = [await verdict(claim, passage) for claim, passage in generate_claims(40, seed=3)]
    assert told.count("supported") >= 0.8 * len(told), Counter(told)
    assert "unsupported" not in told


@given(claim=st.text(max_size=80), evidence=st.lists(st.text(max_size=200), max_size=3))
async def test_whatever_is_claimed_gets_a_verdict(claim: str, evidence: list[str]) -> None:
    for language in ("en", "zh"):
        found = await VERIFIER.judge(claim, evidence, language)
        assert found.score is not None
        assert 0 <= found.score <= 1
