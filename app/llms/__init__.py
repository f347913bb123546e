"""The language models, all of them LlamaIndex LLMs."""
