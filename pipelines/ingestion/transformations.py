"""LlamaIndex transformations from documents to embedded nodes. Neither is used outside this package."""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import (
    BaseNode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
    TransformComponent,
)

from pipelines.ingestion.splitting import Cut, split
from pipelines.readers import SourceDocument
from storage.index.passages import Content


class SectionSplitter(TransformComponent):
    """Splits documents of canonical text into nodes with exact offsets that never cross a heading."""

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Split the documents; `readings` maps their ids to their headings, blocks and code."""
        readings: Mapping[str, SourceDocument] = kwargs["readings"]
        return [
            _node(document.node_id, readings[document.node_id], cut)
            for document in nodes
            for cut in split(readings[document.node_id])
        ]


class EmbedNew(TransformComponent):
    """Embeds nodes in batches; a node whose section and text already have a vector reuses it."""

    embedding: BaseEmbedding

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Embed the nodes; `known` maps sections and texts to existing vectors."""
        new = _without_vector(nodes, kwargs.get("known", {}))
        vectors = self.embedding.get_text_embedding_batch([_content(node) for node in new])
        return _with_vectors(nodes, new, vectors)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Embed the nodes like `__call__`, but asynchronously."""
        new = _without_vector(nodes, kwargs.get("known", {}))
        vectors = await self.embedding.aget_text_embedding_batch([_content(node) for node in new])
        return _with_vectors(nodes, new, vectors)


def _node(document_id: str, reading: SourceDocument, cut: Cut) -> TextNode:
    section = reading.sections[cut.section]
    node = TextNode(
        text=reading.text[cut.start : cut.end],
        start_char_idx=cut.start,
        end_char_idx=cut.end,
        metadata={
            "path": section.path,
            "anchor": section.anchor,
            "page": reading.page_at(cut.start),
        },
    )
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=document_id)
    return node


def _without_vector(
    nodes: Sequence[BaseNode], known: Mapping[Content, list[float]]
) -> list[BaseNode]:
    """Set the known vectors, and return the nodes that must be embedded."""
    new: list[BaseNode] = []
    for node in nodes:
        content = (node.metadata["path"], node.get_content())
        node.embedding = known.get(content)
        if node.embedding is None:
            new.append(node)
    return new


def embedded_text(section: Sequence[str], text: str) -> str:
    """Return the text to embed: the passage after its headings, which say what it is about."""
    return f"{' > '.join(section)}\n\n{text}"


def _content(node: BaseNode) -> str:
    return embedded_text(node.metadata["path"], node.get_content())


def _with_vectors(
    nodes: Sequence[BaseNode], new: Sequence[BaseNode], vectors: Sequence[list[float]]
) -> Sequence[BaseNode]:
    for node, vector in zip(new, vectors, strict=True):
        node.embedding = vector
    return nodes
