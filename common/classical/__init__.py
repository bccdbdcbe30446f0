"""Separation without training: by repetition, factorisation and spatial position."""
