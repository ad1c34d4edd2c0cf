"""What a dataset says of itself: ledger, tallies, verification, repair."""
