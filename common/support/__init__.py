"""What everything rests on: errors, files, scale, and the shims for nussl and Scaper."""
