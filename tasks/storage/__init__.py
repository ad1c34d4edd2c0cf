"""Where the truth lies: an object store, plans, units, commits, the ledger and its audit."""
