"""Benchmarks: `bench_*.py` run under asv at every commit, `peers.py` compares with JAX and PyTorch."""
