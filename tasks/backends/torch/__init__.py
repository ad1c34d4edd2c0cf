"""Backends that need PyTorch; imported only when a configuration names one."""
