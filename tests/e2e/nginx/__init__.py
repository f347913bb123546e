"""Behind a real nginx, as people set it up and as they forget to."""
