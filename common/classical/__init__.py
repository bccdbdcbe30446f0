"""Separation without training: by repetition, factorization and spatial position."""
