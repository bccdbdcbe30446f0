"""Compose and render the embedded multitrack songs: from a seed to four stems."""
