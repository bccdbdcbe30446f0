"""Basics: errors, files, scale, and compatibility with nussl, Scaper and pyworld."""
