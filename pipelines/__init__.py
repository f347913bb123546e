"""The write side: from a file to passages that can be found and cited."""
