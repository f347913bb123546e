"""The keys that JSON has on every surface, as they were promised."""

ANSWER = {
    "id",
    "conversation_id",
    "message_id",
    "status",
    "finish",
    "text",
    "claims",
    "sources",
    "abstention",
    "model",
    "generation",
    "attempts",
    "release",
    "usage",
    "rewriting",
}
CLAIM = {"text", "start", "end", "citations", "verdict", "score", "flags"}
CITATION = {
    "n",
    "source_id",
    "source_version",
    "passage_id",
    "title",
    "section",
    "page",
    "url",
    "quote",
    "start",
    "end",
    "metadata",
}
PASSAGE = {"id", "source_id", "title", "section", "url", "text", "start", "end", "score"}
