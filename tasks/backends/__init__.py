"""Backends that answer for roles: `embedded` (small models on the CPU), `torch` (local, GPU), `served` (HTTP)."""
