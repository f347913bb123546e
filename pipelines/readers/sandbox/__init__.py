"""Worker processes that read untrusted files with limits on time and memory."""
