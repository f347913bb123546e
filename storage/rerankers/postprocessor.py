"""A LlamaIndex node postprocessor as a reranker."""

import math
from collections.abc import Sequence

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, TextNode

from storage.domain import Passage
from storage.errors import ModelUnavailable


class PostprocessorReranker:
    """A reranker that calls a postprocessor, and raises `ModelUnavailable` if it fails.

    The passages are those that the postprocessor returns, in its order.
    """

    depth = 50

    def __init__(self, postprocessor: BaseNodePostprocessor) -> None:
        self._postprocessor = postprocessor
        self.model = type(postprocessor).__name__

    async def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """See `Reranker`."""
        known = {str(passage.id): passage for passage in passages}
        nodes = [_to_node(passage) for passage in passages]
        try:
            found = await self._postprocessor.apostprocess_nodes(nodes, query_str=query)
        except Exception as error:
            # The message names only the class, because a vendor's text may hold a key.
            raise ModelUnavailable(f"it raised {type(error).__name__}", cost=None) from error
        scores = _to_unit_interval([one.score for one in found])
        return [
            known[one.node.node_id].model_copy(update={} if score is None else {"score": score})
            for one, score in zip(found, scores, strict=True)
            if one.node.node_id in known
        ]


def _to_node(passage: Passage) -> NodeWithScore:
    node = TextNode(
        id_=str(passage.id),
        text="\n".join((*passage.section, passage.text)),
        metadata={"title": passage.title, "url": passage.url, **passage.metadata},
        excluded_embed_metadata_keys=["title", "url", *passage.metadata],
        excluded_llm_metadata_keys=["title", "url", *passage.metadata],
    )
    return NodeWithScore(node=node, score=passage.score)


def _to_unit_interval(scores: Sequence[float | None]) -> list[float | None]:
    """Return scores in [0, 1]. If a score is outside, treat all as logits and apply the logistic function."""
    if all(score is None or 0 <= score <= 1 for score in scores):
        return [None if score is None else float(score) for score in scores]
    return [None if score is None else _logistic(float(score)) for score in scores]


def _logistic(value: float) -> float:
    """Return the logistic function in a form that does not overflow."""
    return 0.5 * (1 + math.tanh(value / 2))
