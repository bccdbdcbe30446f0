"""Composes and renders the embedded multitrack songs: a seed goes in, four stems come out."""
