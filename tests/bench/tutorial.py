"""A typical tutorial's application of FastAPI and LlamaIndex: an index in Qdrant's local mode and a chat.

`python -m tests.bench.tutorial PORT FOLDER MODEL_URL MODEL`; it uses the same embedding as Ibid.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.core.llms import LLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import TextNode
from llama_index.llms.openrouter import OpenRouter
from llama_index.vector_stores.qdrant import QdrantVectorStore
from pydantic import BaseModel
from qdrant_client import QdrantClient

from storage.embeddings.local import LocalEmbedding

_CITABLE = 8


class ChatRequest(BaseModel):
    text: str


def build(folder: Path, llm: LLM) -> FastAPI:
    """Create the application; its handlers are synchronous because the chat engine streams from a thread."""
    client = QdrantClient(path=str(folder), force_disable_check_same_thread=True)
    store = QdrantVectorStore("docs", client=client)
    embedding = LocalEmbedding()
    embedding.get_text_embedding("warm")
    index = VectorStoreIndex.from_vector_store(
        store, embedding, transformations=[SentenceSplitter()]
    )
    app = FastAPI()

    @app.get("/health/ready")
    def ready() -> None: ...

    @app.post("/ingest")
    def ingest(path: Path) -> float:
        """Index finished passages from a file with one JSON document per line; return the seconds."""
        with path.open(encoding="utf-8") as lines:
            nodes = [TextNode.model_validate_json(line) for line in lines]
        started = time.perf_counter()
        VectorStoreIndex(
            nodes,
            storage_context=StorageContext.from_defaults(vector_store=store),
            embed_model=embedding,
            transformations=[],
        )
        return time.perf_counter() - started

    @app.get("/search")
    def search(q: str, k: int = 10) -> list[dict[str, object]]:
        found = index.as_retriever(similarity_top_k=k).retrieve(q)
        return [{"text": one.text, "score": one.score, **one.metadata} for one in found]

    @app.post("/chat")
    def chat(question: ChatRequest) -> StreamingResponse:
        engine = CondensePlusContextChatEngine.from_defaults(
            retriever=index.as_retriever(similarity_top_k=_CITABLE), llm=llm
        )
        words = engine.stream_chat(question.text).response_gen
        return StreamingResponse(_frames(words), media_type="text/event-stream")

    return app


def _frames(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        yield f"event: token\ndata: {json.dumps(word)}\n\n"
    yield "event: completed\ndata:\n\n"


if __name__ == "__main__":
    port, folder, base, model = sys.argv[1:]
    threading.excepthook = lambda _: None  # the chat engine's memory never closes its SQLite
    openrouter = OpenRouter(model=model, api_key="any", api_base=base, max_tokens=1_024)
    uvicorn.run(build(Path(folder), openrouter), port=int(port), log_level="warning")
