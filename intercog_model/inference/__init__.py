"""KV-cached contexts, guidance and the flow sampler."""
