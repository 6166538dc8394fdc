"""Benchmarks: `suite/` runs under asv at every commit, `peers.py` compares with JAX, PyTorch, NumPy and others."""
