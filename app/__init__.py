"""The read side of Ibid, and its interfaces: command line, REST API and notebook."""

from storage.system_folders import ensure_user

ensure_user()  # must precede the import of LlamaIndex, which fails for a user without a home folder
