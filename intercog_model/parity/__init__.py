"""Comparison of the network with a folder of golden numbers."""
