"""The table of datasets in chapter 08: every fact with a link to its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from IPython.display import HTML

COLUMNS = {
    "tracks": "Tracks",
    "hours": "Hours",
    "stems": "Stems",
    "rate": "Format",
    "licence": "Licence",
}
"""The facts of a dataset, and the headings of their columns."""


def catalogue_table(catalogue: Mapping, kinds: Sequence[str], caption: str) -> HTML:
    """Table of the datasets of some kinds, in the order of the file.

    catalogue: the content of `book/datasets.json`. A name links to the dataset, the number behind
    a fact to its source, in italics if we know that source only from pages that quote it; a dash
    marks a fact that was not found. Raises KeyError for an unknown source.
    """
    numbers = {name: number for number, name in enumerate(catalogue["sources"], start=1)}
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Dataset", "Year", *COLUMNS.values())
    )
    rows = []
    for dataset in catalogue["datasets"]:
        if dataset["kind"] in kinds:
            name = f'<a href="{escape(dataset["link"])}">{escape(dataset["name"])}</a>'
            cells = "".join(_cell(dataset["facts"].get(key), catalogue, numbers) for key in COLUMNS)
            year = dataset["year"] or "–"
            rows.append(f'<tr><th scope="row">{name}</th><td>{year}</td>{cells}</tr>')
    return HTML(
        f'<div style="overflow-x: auto"><table class="catalogue"><caption>{escape(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(fact: Mapping | None, catalogue: Mapping, numbers: Mapping[str, int]) -> str:
    """One fact and the number of its source."""
    if fact is None:
        return "<td>–</td>"
    value = f"{fact['value']:,}" if isinstance(fact["value"], int) else str(fact["value"])
    source, number = catalogue["sources"][fact["source"]], numbers[fact["source"]]
    label = escape(f"Source: {source['title']}{', as quoted' if source['second_hand'] else ''}")
    mark = f"<em>{number}</em>" if source["second_hand"] else number
    spoken = f"{number}, {label}"  # a screen reader reads the visible number too
    link = f'<a href="{escape(source["url"])}" title="{label}" aria-label="{spoken}">{mark}</a>'
    return f"<td>{escape(value)}&nbsp;<sup>{link}</sup></td>"
