"""The write side: turns files into passages that can be found and cited."""
