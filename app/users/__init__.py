"""Who people are: tokens of an issuer, keys of servers, users and what they may do."""
