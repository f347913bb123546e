"""The read side, and every door: command line, REST, notebook."""

from storage.system_folders import ensure_user

ensure_user()  # before LlamaIndex is imported, which fails for a user without a home
