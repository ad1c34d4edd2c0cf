"""Publish: edited samples to shards."""
