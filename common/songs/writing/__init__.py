"""Compose a score from a seed: style, form, chords, melodies, drums and instruments."""
