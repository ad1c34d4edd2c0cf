"""Object stores, the commit protocol, and reports on a dataset."""
