"""What models cost, and the budgets that limit it."""
