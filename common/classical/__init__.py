"""Separation by rules: methods that listen for repetition, for strokes and lines, for places."""
