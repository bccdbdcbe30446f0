"""The table of datasets in chapter 08: every fact with a link to where it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

COLUMNS = {
    "tracks": "Tracks",
    "hours": "Hours",
    "stems": "Stems",
    "rate": "Format",
    "licence": "Licence",
}
"""The facts of a dataset, and how the table heads them."""


def catalogue_table(catalogue: Mapping, kinds: Sequence[str], caption: str) -> str:
    """HTML table of the datasets of some kinds, in the order of the file.

    catalogue: what `book/datasets.json` holds. A name links to where the dataset can be had, the
    number behind a fact to where the fact was found, in italics if we know it from pages that quote
    that source; a dash stands where nothing was found. Raises KeyError for an unknown source.
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
    return (
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
    spoken = f"{number}, {label}"  # what is seen has to be part of what is read out
    link = f'<a href="{escape(source["url"])}" title="{label}" aria-label="{spoken}">{mark}</a>'
    return f"<td>{escape(value)}&nbsp;<sup>{link}</sup></td>"
