"""Prompts for models, and the word lists and sentence patterns of the embedded writers, as data."""

from prompts.loading import Prompt, load_data, load_prompt, prompt_digests

__all__ = ["Prompt", "load_data", "load_prompt", "prompt_digests"]
