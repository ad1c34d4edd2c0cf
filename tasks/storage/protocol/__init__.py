"""Units, attempts, commits, plans and stage ends: the protocol that lets a dataset survive any kill."""
