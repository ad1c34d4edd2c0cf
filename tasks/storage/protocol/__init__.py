"""Units, attempts, commits, plans and stage ends: what makes a dataset survive any kill."""
