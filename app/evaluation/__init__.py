"""How well Ibid finds and answers, measured on questions whose answers are known."""
