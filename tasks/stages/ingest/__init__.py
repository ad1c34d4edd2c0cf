"""Ingest: photographs to working sources."""
