"""Measures of what Ibid finds and says, on questions and claims whose answers are known."""
