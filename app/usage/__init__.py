"""Records the cost of models and limits it with budgets."""
