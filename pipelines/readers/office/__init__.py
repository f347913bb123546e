"""Word, PowerPoint, Excel and comma-separated values."""
