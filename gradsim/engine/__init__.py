"""The engine: groups of networks, one a SIMD lane, from random numbers to recorded statistics."""
