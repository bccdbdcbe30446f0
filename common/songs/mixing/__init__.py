"""From parts to a mix: settings, effects, rooms and the mixdown."""
