"""Reports on a dataset: ledger, tallies, verification, repair."""
