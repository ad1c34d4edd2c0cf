"""Backends behind an OpenAI-style chat server: how each role is put into a request and read from the reply."""
