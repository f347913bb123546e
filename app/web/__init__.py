"""The chat page: an answer as safe HTML, and the files that a browser loads."""
