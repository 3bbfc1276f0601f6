"""What a chapter's notebook calls: its parameters, its confirmations, its part of the ledger.

    page = Chapter("02-baseline", confidence_level=confidence_level)
    page.compare({"table1.bone.all.lu.percent": share})      # shown, and asserted
    page.glue("n_patients", 831)                             # for the prose
    page.ledger()                                            # at the end

Numbers are confirmed at the default parameters only. A chapter run with others shows a
banner, confirms nothing and writes no ledger rows. The defaults are those of the chapter's
text (`notebooks/02-baseline.md`).
"""

from __future__ import annotations

import ast
import html
from collections.abc import Mapping, Sequence
from itertools import groupby

import jupytext
import pandas as pd
from myst_nb import glue as myst_glue

from visiontrial import ledger, paths, published
from visiontrial.printed import as_printed, as_printed_like, parse, prints_as

Number = float | int

SYNTHETIC = (
    "<div class='admonition synthetic'><p class='admonition-title'>Fitted: from reconstructed patients</p>"
    "<p>A fitted value is that of reconstructed patients, who were built to agree with what is printed. "
    "It is no finding: it proves only that the printed numbers can be true together.</p></div>"
)


class ClaimMismatch(AssertionError):
    """A value shown in a chapter does not print as the paper's number."""


class Chapter:
    """One chapter in execution.

    `name` is the notebook's (`02-baseline`); the keyword arguments are its parameters as
    they now stand. Defaults are read from the notebook's cell tagged `parameters`.
    """

    def __init__(self, name: str, **parameters):
        self.name = name
        self.changed = {k: v for k, v in parameters.items() if v != defaults(name)[k]}
        if self.changed:
            _show(_Html(_banner(self.changed)))

    @property
    def is_default(self) -> bool:
        """Whether the chapter runs at its default parameters, so that its numbers are confirmed."""
        return not self.changed

    def compare(self, values: Mapping[str, Number], *, caption: str) -> Comparison:
        """Published beside ours, one row per claim. At default parameters every row must agree.

        `values` maps claim ids to unrounded values. Raises `ClaimMismatch` naming the chapter
        and the claims that do not print alike.
        """
        rows = [_compared(claim_id, value) for claim_id, value in values.items()]
        table = pd.DataFrame(rows, columns=["claim_id", "published", "ours", "difference", "verdict"])
        wrong = table[table["verdict"] != "match"]
        if self.is_default and len(wrong):
            lines = [f"{r.claim_id}: printed {r.published}, ours {r.ours}" for r in wrong.itertuples()]
            raise ClaimMismatch(f"chapter {self.name}: " + "; ".join(lines))
        return Comparison(table, caption)

    def glue(self, name: str, text: str | int) -> None:
        """Hand text to the prose as `` {glue:text}`name` ``.

        Only text already formatted, or a whole number: a format given in the role is dropped
        silently for NumPy numbers, so none is.
        """
        if not isinstance(text, str | int):
            raise TypeError(
                f"glue {name!r}: give text, formatted once (as_printed), not {type(text).__name__}"
            )
        myst_glue(name, str(text), display=False)

    def ledger(self) -> LedgerPart:
        """This chapter's part of the ledger, to be shown at its end; written when parameters are default."""
        part = ledger.of_chapter(self.name)
        if self.is_default:
            ledger.write(part, paths.LEDGER_PARTS / f"{self.name}.csv")
        return LedgerPart(part)


class Comparison:
    """Published value, our value, difference, verdict: shown as a table, kept as `frame`."""

    def __init__(self, frame: pd.DataFrame, caption: str):
        self.frame = frame
        self.caption = caption

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.frame.to_string(index=False)}"

    def _repr_html_(self) -> str:
        ids = self.frame["claim_id"]
        named = [(published.statistic(claim_id) or "number", claim_id) for claim_id in ids]
        rows = self.frame.assign(claim_id=named)
        return _html_table(rows, self.caption, "comparison", groups=[*map(published.subject, ids)])


class LedgerPart:
    """A chapter's rows of the ledger, folded to a summary that opens."""

    shown = ("claim_id", "printed", "reproduced", "difference", "grade", "verdict", "explanation")

    def __init__(self, frame: pd.DataFrame):
        self.frame = frame

    def __repr__(self) -> str:
        return self.summary

    @property
    def summary(self) -> str:
        """Counts by grade and verdict, in one sentence."""
        if self.frame.empty:
            return "This chapter answers for no printed number: others do."
        counts = self.frame.groupby(["grade", "verdict"], sort=False).size()
        parts = ", ".join(f"{n} {grade} ({verdict})" for (grade, verdict), n in counts.items())
        numbers = "1 printed number" if len(self.frame) == 1 else f"{len(self.frame)} printed numbers"
        return f"This chapter answers for {numbers}: {parts}."

    def _repr_html_(self) -> str:
        if self.frame.empty:
            return f"<p class='ledger-part'>{html.escape(self.summary)}</p>"
        table = _html_table(self.frame[list(self.shown)], "Every claim of this chapter", "ledger-part")
        notice = SYNTHETIC if (self.frame["grade"] == "fitted").any() else ""
        summary = f"<summary>{html.escape(self.summary)}</summary>"
        return f"<details class='ledger-part'>{summary}{notice}{table}</details>"


def defaults(name: str) -> dict:
    """The default parameters of a chapter: the literals assigned in the cell of its text tagged `parameters`.

    Of the text, not of the notebook: a student who edits the notebook and saves it has not
    changed what the defaults are.
    """
    cells = jupytext.read(paths.NOTEBOOKS / f"{name}.md").cells
    source = "\n".join(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
    assignments = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}


def _compared(claim_id: str, value: Number) -> tuple[str, str, str, str, str]:
    characters = published.printed(claim_id)
    target = parse(characters)
    ours = as_printed_like(value, characters)
    difference = "" if target.sign else as_printed(float(value) - float(target.value), target.decimals + 2)
    return claim_id, characters, ours, difference, "match" if prints_as(value, characters) else "differs"


def _banner(changed: dict) -> str:
    settings = ", ".join(f"{html.escape(k)} = {html.escape(repr(v))}" for k, v in changed.items())
    return (
        "<div class='banner banner-parameters' role='note'><strong>Not the default run.</strong> "
        f"This chapter runs with {settings}. Its numbers are not the ones that were confirmed against the "
        "paper, and it writes nothing into the ledger.</div>"
    )


def _html_table(frame: pd.DataFrame, caption: str, kind: str, groups: Sequence[str] = ()) -> str:
    """A table that scrolls in its own frame; `groups`, one a row, are told wherever they change."""
    name = html.escape(caption, quote=True)
    head = "".join(
        f"<th scope='col'>{html.escape(c.removesuffix('_id').replace('_', ' '))}</th>" for c in frame.columns
    )
    labelled = zip(groups or [""] * len(frame), frame.itertuples(index=False), strict=True)
    body = "".join(
        _html_group(group, len(frame.columns)) + "".join(_html_row(row) for _, row in rows)
        for group, rows in groupby(labelled, key=lambda pair: pair[0])
    )
    return (
        f"<div class='table-scroll' tabindex='0' role='region' aria-label='{name}'>"
        f"<table class='{kind}'><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _html_group(name: str, columns: int) -> str:
    heading = f"<tr class='group'><th scope='rowgroup' colspan='{columns}'>{html.escape(name)}</th></tr>"
    return heading if name else ""


def _html_row(row) -> str:
    first, *others = (_cell(cell) for cell in row)
    verdict = getattr(row, "verdict", "")
    cells = "".join(f"<td>{cell}</td>" for cell in others)
    return f"<tr class='verdict-{verdict}'><th scope='row'>{first}</th>{cells}</tr>"


def _cell(cell: str | tuple[str, str]) -> str:
    """Text, or a pair of texts: the second stands below the first, smaller."""
    if isinstance(cell, str):
        return html.escape(cell)
    first, second = map(html.escape, cell)
    return f"{first}<br><small>{second}</small>"


class _Html:
    def __init__(self, markup: str):
        self.markup = markup

    def _repr_html_(self) -> str:
        return self.markup


def _show(thing) -> None:
    from IPython.display import display

    display(thing)
