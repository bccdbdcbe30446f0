"""Words that the book does not use: private vocabulary, archaic words and American spellings."""

from __future__ import annotations

import re
from collections.abc import Iterator

PRIVATE = {
    r"heaps?": "cluster",
    r"lessons?": "finding, example",
    r"handwriting": "timbre, style",
    r"diets?": "training data",
    r"knobs?": "logit, parameter",
    r"lines and strokes|strokes and lines": "harmonic and percussive parts",
    r"(on )?(the|its|a) way up": "decoder",
    r"sees? (farther|further)": "has a larger receptive field",
    r"look[ _]and[ _]paint": "encode and decode",
    r"learnt": "learned",
    r"who(m)?ever": "anyone who",
    r"dear(er|est|ly)?": "expensive",
    r"wants? to be": "should be",
    r"beforehand": "before, in advance",
    r"so to (say|speak)": "nothing",
}
"""What stood in the book once, and the field's term or the plain word instead."""

AMERICAN = {
    r"(?!(size|prize|seize|capsize)[ds]?\b)\w+iz(e|ed|es|ing|ation|ations)": "-ise",
    r"colors?|colored|coloring": "colour",
    r"behaviors?": "behaviour",
    r"centers?|centered": "centre",
    r"(model|label|signal|cancel)(ing|ed)": "-ll-",
    r"analyz\w+": "analys-",
    r"favor\w*": "favour",
    r"gray": "grey",
}
"""Spellings of prose. An artifact stays one: so BSS Eval spells its sources-to-artifacts ratio."""

NO_PROSE = (
    r"^(`{3,}|~{3,})(?!\{(note|tip|glossary)).*?^\1`*~*$",  # code, formulas and figures
    r"\$\$.*?\$\$",
    r"`[^`\n]*`|\$[^$\n]*\$|\]\([^)\n]*\)|<[^>\n]*>|https?://\S+",
    r"^:[\w-]+:.*$",  # a directive's options
)


def visible_text(svg: str) -> str:
    """What a reader or a screen reader finds in a drawing: no style and no attributes."""
    return re.sub(r"<[^>]*>", "", re.sub(r"<style.*?</style>", "", svg, flags=re.S))


def private_words(text: str) -> Iterator[str]:
    """Private and archaic words, in prose and in the names of code alike."""
    yield from _found(PRIVATE, text)


def american_spellings(text: str) -> Iterator[str]:
    """American spellings in Markdown, outside code, formulas and addresses."""
    for pattern in NO_PROSE:
        text = re.sub(pattern, lambda match: "\n" * match[0].count("\n"), text, flags=re.M | re.S)
    yield from _found(AMERICAN, text)


def _found(words: dict[str, str], text: str) -> Iterator[str]:
    for pattern, instead in words.items():
        # An underscore ends a word too, so that names like `two_heaps` are found.
        for match in re.finditer(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", text, re.I):
            line = text.count("\n", 0, match.start()) + 1
            yield f"line {line} says {match[0]!r} instead of {instead}"
