"""True claims about a small world of our own, and seeded ways to make each of them wrong."""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

_HARBOURS = ("Skerry", "Marwick", "Tolsta", "Noss", "Hillswick", "Brough", "Rousay", "Fethaland")
_MONTHS = ("January", "March", "April", "June", "August", "October", "December")
_KEEPERS = ("Isbister", "Halcrow", "Mouat", "Leask", "Drever", "Flett", "Linklater", "Sinclair")
_SUPPLIES = ("paraffin", "coal", "rope", "timber", "canvas", "lime")
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")


class PerturbedClaim(NamedTuple):
    """A claim that its passage does not bear out, and in what it differs from one that it does."""

    kind: str
    true: str
    false: str
    passage: str


def generate_claims(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Claims in words of their own, each with the passage that says it otherwise."""
    rng = random.Random(seed)  # noqa: S311 - to be the same every time
    for _ in range(count):
        here, there = rng.sample(_HARBOURS, 2)
        keeper = rng.choice(_KEEPERS)
        month, day, year = rng.choice(_MONTHS), rng.randint(2, 28), rng.randint(1820, 1930)
        barrels, feet = rng.randint(31, 99), rng.randint(110, 190)
        goods = rng.choice(_SUPPLIES)
        passage = (
            f"The lighthouse at {here} was first lit on {day} {month} {year}. Its tower is {feet} feet "
            f"high and was painted by the crew of {there}. The keeper, James {keeper}, stores {barrels} "
            f"barrels of {goods} in the cellar. Visitors are not allowed in the lamp room. The supply "
            f"boat never sails in a northerly gale."
        )
        yield f"At {here} the light was lit for the first time on {day} {month} {year}.", passage
        yield f"The tower at {here} stands {feet} feet high.", passage
        yield f"Keeper James {keeper} stores {barrels} barrels of {goods} in the cellar.", passage
        yield "Visitors are not allowed to enter the lamp room.", passage


def perturb_claims(count: int, seed: int) -> list[PerturbedClaim]:
    """As many, of all kinds in turn."""
    rng = random.Random(seed)  # noqa: S311 - to be the same every time
    found: list[PerturbedClaim] = []
    for claim, passage in generate_claims(count, seed):
        for kind, false in _falsify(claim, passage, rng):
            found.append(PerturbedClaim(kind, claim, false, passage))
    rng.shuffle(found)
    return found[:count]


def _falsify(claim: str, passage: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    if numbers := _NUMBER.findall(claim):
        wrong = str(int(rng.choice(numbers)) + rng.choice((-7, -3, 4, 11)))
        yield "number", claim.replace(rng.choice(numbers), wrong, 1)
    for kind, names in (("date", _MONTHS), ("name", _HARBOURS), ("name", _KEEPERS)):
        for name in names:
            if name in claim:
                others = [other for other in names if other not in passage]
                yield kind, claim.replace(name, rng.choice(others))
    if " not " in claim:
        yield "negation", claim.replace(" not ", " ")
    for verb, denied in (("was lit", "was not lit"), ("stores", "does not store")):
        if verb in claim:
            yield "negation", claim.replace(verb, denied)
