"""Backends that need PyTorch: none of the embedded profile does, so each is imported only when asked for."""
