"""From a seed to a score: style, form, chords, tunes, drums and who plays them."""
