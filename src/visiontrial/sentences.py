"""Every sentence of the paper's results: where this book answers it, and what became of its numbers.

Which sentences there are is declared in `data/published/sentences.csv`, in our own words: the
paper's are under copyright. What the ledger says of their numbers is counted here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd
from great_tables import GT

from visiontrial import ledger, paths, published, tables
from visiontrial.evidence import METHOD_SHOWN

COLUMNS = ("heading", "says", "place", "numbers", "standing", "named")

_FENCED = re.compile(r"^(`{3,}|:{3,}).*?^\1\s*$", re.DOTALL | re.MULTILINE)


class PlaceError(ValueError):
    """A sentence is said to be answered where there is nothing; the message names the nearest remedy."""


def accounts(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """One row per sentence, in the paper's order; columns as in `COLUMNS`.

    heading   the paper's heading above the sentence
    says      what the sentence is about
    place     the sections that answer it, as tuples of `page#section`
    numbers   how many numbers it prints
    standing  what the ledger says of these: counts by grade where they match, by verdict elsewhere
    named     how many results it names without a number, by whether a chapter shows the method
    """
    account = ledger.compute(folder).set_index("claim_id")
    standing = account["grade"].where(account["verdict"] == "match", account["verdict"])
    status = published.named_results(folder).set_index("result_id")["status"]
    shown = status.eq(METHOD_SHOWN).map({True: "method shown", False: "not shown"})
    rows = [
        (
            row.sentence.split(".")[1].replace("-", " ").capitalize(),
            row.says,
            row.place,
            len(row.claims),
            _counted(standing[claim_id] for claim_id in row.claims),
            _counted(shown[result_id] for result_id in row.named_results),
        )
        for row in published.sentences(folder).itertuples()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@cache
def sections(page: str, folder: Path = paths.NOTEBOOKS) -> dict[str, str]:
    """The headings of a chapter by the ids that they have on its page, in order.

    Raises `PlaceError` where there is no such chapter.
    """
    path = folder / f"{page}.md"
    if not path.exists():
        raise PlaceError(f"sentences.csv: {page!r} is no chapter of {folder.name}/: correct the place")
    titles = re.findall(r"^#+ (.+)$", _FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"): title for title in titles}


def link(place: str) -> str:
    """A place as a link in Markdown, named by the chapter's number and the section's title.

    Raises `PlaceError` where the chapter has no such section.
    """
    page, _, section = place.partition("#")
    known = sections(page)
    if section not in known:
        raise PlaceError(
            f"sentences.csv: place {place!r}: {page} has no section {section!r}; it has {', '.join(known)}"
        )
    return f"[{page.split('-')[0]} {known[section]}]({page}.ipynb#{section})"


def table() -> tables.Printable:
    """`accounts` as a table, grouped by the paper's headings, with a link to each place."""
    frame = accounts()
    frame["place"] = ["  \n".join(map(link, places)) for places in frame["place"]]
    frame["numbers"] = [
        f"{row.numbers}\n{row.standing}" if row.numbers else "–" for row in frame.itertuples()
    ]
    frame["named"] = frame["named"].replace("", "–")
    made = (
        GT(frame.drop(columns="standing"), rowname_col="says", groupname_col="heading")
        .tab_stubhead("The sentence is about")
        .cols_label(place="Answered in", numbers="Numbers\nin the ledger", named="Named only")
        .cols_align("left", ["place", "numbers", "named"])
        .fmt_markdown("place")
        .tab_source_note("Named only: results that the sentence names without a number.")
        .tab_source_note("Fitted: in reconstructed patients, who were built to agree.")
    )
    return tables.printable(made, "sentences", "Every sentence of the paper's results, and its place here")


def _counted(words: Iterable[str]) -> str:
    """`3 fitted, 1 unchecked`: the words with their counts, most frequent first."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())
