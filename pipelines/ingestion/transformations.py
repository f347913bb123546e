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

from pipelines.ingestion.splitting import PassageSpan, split_document
from pipelines.readers import SourceDocument
from storage.index.passages import EmbeddingInput


class SectionSplitter(TransformComponent):
    """Splits documents of canonical text into nodes with exact offsets that never cross a heading."""

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Split the documents; `readings` maps their ids to their headings, blocks and code."""
        readings: Mapping[str, SourceDocument] = kwargs["readings"]
        return [
            _node(document.node_id, readings[document.node_id], cut)
            for document in nodes
            for cut in split_document(readings[document.node_id])
        ]


class EmbedNew(TransformComponent):
    """Embeds nodes in batches; a node whose section and text already have a vector reuses it."""

    embedding: BaseEmbedding

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Embed the nodes; `known` maps sections and texts to existing vectors."""
        new = _reuse_vectors(nodes, kwargs.get("known", {}))
        vectors = self.embedding.get_text_embedding_batch([_content(node) for node in new])
        return _set_vectors(nodes, new, vectors)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Embed the nodes like `__call__`, but asynchronously."""
        new = _reuse_vectors(nodes, kwargs.get("known", {}))
        vectors = await self.embedding.aget_text_embedding_batch([_content(node) for node in new])
        return _set_vectors(nodes, new, vectors)


def _node(document_id: str, document: SourceDocument, span: PassageSpan) -> TextNode:
    section = document.sections[span.section]
    node = TextNode(
        text=document.text[span.start : span.end],
        start_char_idx=span.start,
        end_char_idx=span.end,
        metadata={
            "path": section.path,
            "anchor": section.anchor,
            "page": document.page_at(span.start),
        },
    )
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=document_id)
    return node


def _reuse_vectors(
    nodes: Sequence[BaseNode], known: Mapping[EmbeddingInput, list[float]]
) -> list[BaseNode]:
    """Set the known vectors, and return the nodes that must be embedded."""
    new: list[BaseNode] = []
    for node in nodes:
        content = (node.metadata["path"], node.get_content())
        node.embedding = known.get(content)
        if node.embedding is None:
            new.append(node)
    return new


def text_to_embed(section: Sequence[str], text: str) -> str:
    """Return the text to embed: the passage after its headings, which say what it is about."""
    return f"{' > '.join(section)}\n\n{text}"


def _content(node: BaseNode) -> str:
    return text_to_embed(node.metadata["path"], node.get_content())


def _set_vectors(
    nodes: Sequence[BaseNode], new: Sequence[BaseNode], vectors: Sequence[list[float]]
) -> Sequence[BaseNode]:
    for node, vector in zip(new, vectors, strict=True):
        node.embedding = vector
    return nodes
