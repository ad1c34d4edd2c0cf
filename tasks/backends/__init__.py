"""Backends that answer for roles: `embedded` (small real models, CPU)."""
