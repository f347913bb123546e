"""The effect of the weight for peer-reviewed sources; a random half of the sources is marked as such.

It measures how often the reviewed one of two relevant documents is ranked first, and how much the
preference reduces the quality of the ranking. Neither depends on the machine.
"""

import random
from collections.abc import Collection, Iterator
from statistics import mean

from app.cli.demo import HANDBOOK
from app.evaluation.beir_import import CORPUS, DocumentNamer, ingest_documents
from app.evaluation.golden import GoldenSet, read_golden
from app.evaluation.golden_generation import generate_golden
from app.evaluation.retrieval import QuestionResult, evaluate, page_url
from app.wiring import Services
from storage.index.engine import SetPayload
from tests.bench.figures import Result
from tests.bench.homes import Options, open_home

WEIGHTS = (0.0, 0.05, 0.1, 0.2)
ROUNDS = 3


async def run(options: Options) -> Result:
    """Evaluate a golden set, or the handbook with its headings as questions; each round marks at random."""
    rounds = options.rounds or ROUNDS
    ndcg: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
    firsts: dict[float, list[bool]] = {weight: [] for weight in WEIGHTS}
    async with open_home(options.scratch / "home") as services:
        options.say("ingesting")
        golden, name = await _ingest(services, options)
        for seed in range(rounds):
            options.say(f"searching, marking {seed + 1} of {rounds}")
            reviewed = await _mark(services, name, seed)
            for weight in WEIGHTS:
                await services.library.set_peer_review_weight(CORPUS, weight)
                measured = await evaluate(services.search, golden, name, [CORPUS])
                ndcg[weight].append(measured.metrics["ndcg@10"])
                for question in measured.questions:
                    firsts[weight] += _reviewed_first(question, reviewed)
    pairs = len(firsts[0.0])
    about = f"{len(golden.questions)} questions, {rounds} markings, {pairs} pairs of which one is reviewed"
    result = Result("reviewed", about)
    for weight in WEIGHTS:
        result.add(f"weight {weight}: ndcg@10", mean(ndcg[weight]), "")
        if pairs:
            share = 100 * mean(firsts[weight])
            result.add(f"weight {weight}: reviewed first", share, "in 100", part=True)
    return result


async def _ingest(services: Services, options: Options) -> tuple[GoldenSet, DocumentNamer]:
    if options.folder is None:
        await services.ingestion.run([HANDBOOK], CORPUS)
        return await generate_golden(services.search, services.indexes, CORPUS), page_url
    golden, scratch = read_golden(options.folder), options.scratch / "documents"
    name = await ingest_documents(
        services.ingestion, services.library, options.folder, golden, scratch
    )
    return golden, name


async def _mark(services: Services, name: DocumentNamer, seed: int) -> set[str | None]:
    """Mark a random half of the sources as peer-reviewed and return the names of their documents."""
    index = await services.indexes.serving()
    passages = await index.list_passages(await services.search.scope([CORPUS]))
    sources = sorted({str(passage.source_id) for passage in passages})
    marked = random.Random(seed).sample(sources, len(sources) // 2)  # noqa: S311 - no secret
    changes = [
        SetPayload({"source_id": [*ids]}, {"metadata": {"peer_reviewed": reviewed}})
        for ids, reviewed in ((sources, False), (marked, True))
    ]
    await index.engine.apply(index.collection, changes)
    return {name(passage) for passage in passages if str(passage.source_id) in marked}


def _reviewed_first(question: QuestionResult, reviewed: Collection[str | None]) -> Iterator[bool]:
    """Yield for each pair of relevant documents, of which one is reviewed, whether that one is first."""
    answering = [key in reviewed for key in question.found if key in question.relevant]
    for place, first in enumerate(answering):
        yield from (first for second in answering[place + 1 :] if second != first)
