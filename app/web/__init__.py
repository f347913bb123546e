"""The chat page: renders answers as safe HTML, and contains the files that a browser loads."""
