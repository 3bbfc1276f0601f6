"""The paper's numbers and the ledger on the pages: `claim`, `scoreboard` and `ledger-table`."""

from __future__ import annotations

import html
from collections.abc import Collection
from functools import cache
from pathlib import Path

import pandas as pd
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from visiontrial import ledger, paths, published
from visiontrial.site import downloads, executed

LEDGER_PAGE = f"{executed.FOLDER}90-every-number"
ROW = "claim-"  # what the id of a row of the ledger begins with
IN_WORDS = {
    "abstract": "the abstract",
    "methods": "the methods",
    "results": "the results",
    "discussion": "the discussion",
    "figure1": "Figure 1",
    "table1": "Table 1",
    "table2": "Table 2",
    "captions": "a caption",
}
LEFT_OUT = ("left_out_low", "left_out_high", "covered")
SHOWN = {
    "claim_id": "claim",
    "location": "where",
    "printed": "printed",
    "reproduced": "ours",
    "difference": "difference",
    "grade": "grade",
    "verdict": "verdict",
    "left_out_low": "left out: from",
    "left_out_high": "left out: to",
    "covered": "covered",
    "chapter": "chapter",
    "explanation": "explanation",
}
FILTERS = ("location", "grade", "verdict")
NUMERIC = frozenset({"printed", "reproduced", "difference", *LEFT_OUT[:2]})


def setup(app: Sphinx) -> None:
    app.add_role("claim", ClaimRole())
    app.add_directive("scoreboard", ScoreboardDirective)
    app.add_directive("ledger-table", LedgerTableDirective)
    app.connect("html-page-context", _add_filter_script)


class ClaimRole(SphinxRole):
    """`` {claim}`os.hr` `` prints the paper's number, as printed: a link to its row of the ledger."""

    def run(self):
        root = Path(self.env.srcdir)
        for source in (_ledger_path(root), _published(root) / "claims.csv"):
            self.env.note_dependency(str(source))
        try:
            printed, title = claim(self.text, root)
        except (KeyError, FileNotFoundError) as error:
            message = self.inliner.reporter.error(error.args[0], line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        row = row_address(self.env.docname, self.text)
        link = nodes.reference(self.rawtext, printed, refuri=row, internal=True, reftitle=title)
        link["classes"].append("claim")
        return [link], []


def claim(claim_id: str, root: Path) -> tuple[str, str]:
    """The characters of a claim, and its provenance in words.

    Raises `KeyError` for an unknown id, and `FileNotFoundError` when there is no ledger yet.
    """
    printed = published.printed(claim_id, _published(root))
    row = _ledger_by_id(_ledger_path(root), _stamp(root)).loc[claim_id]
    return printed, f"printed in {IN_WORDS[row['location']]}; grade: {row['grade']}; claim {claim_id}"


def row_address(document: str, claim_id: str) -> str:
    """The relative address of a claim's row in the ledger, as seen from a page."""
    page = "" if document == LEDGER_PAGE else "../" * document.count("/") + f"{LEDGER_PAGE}.html"
    return f"{page}#{ROW}{claim_id}"


class ScoreboardDirective(SphinxDirective):
    """How many of the paper's numbers were reproduced, and how."""

    def run(self):
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(_ledger_path(root)))
        board = ledger.scoreboard(_read_ledger(root), _published(root))
        return [nodes.raw("", f'<div class="vt-scoreboard">{board.html()}</div>', format="html")]


class LedgerTableDirective(SphinxDirective):
    """The whole ledger: every printed number, searchable."""

    def run(self):
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(_ledger_path(root)))
        to_root = "../" * self.env.docname.count("/")
        markup = ledger_html(_read_ledger(root), to_root, self.env.found_docs)
        return [nodes.raw("", markup, format="html")]


def ledger_html(table: pd.DataFrame, to_root: str, pages: Collection[str]) -> str:
    """The ledger as a table that is complete without scripts, and the controls a script brings to life.

    `to_root` leads from the page to the root of the site; a chapter among `pages` is linked.
    """
    table = table.assign(chapter=[_chapter_html(name, to_root, pages) for name in table["chapter"]])
    columns = [c for c in SHOWN if c in table and (c not in LEFT_OUT or (table[c] != "").any())]
    head = "".join(f'<th scope="col">{SHOWN[c]}</th>' for c in columns)
    rows = "".join(_row_html(row, columns) for row in table.to_dict("records"))
    return (
        f'<div class="vt-ledger">{_controls(table)}'
        f'<p class="vt-ledger-file"><span class="vt-ledger-count" role="status">{len(table)} numbers</span> '
        f'<a href="{to_root}{downloads.FOLDER}/{downloads.LEDGER}" download>Download the ledger (CSV)</a></p>'
        '<div class="table-scroll" tabindex="0" role="region" aria-label="The ledger, every printed number">'
        '<table class="ledger"><caption>Every number the paper prints</caption>'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _chapter_html(name: str, to_root: str, pages: Collection[str]) -> str:
    document = f"{executed.FOLDER}{name}"
    number = html.escape(name.split("-")[0])
    return f'<a href="{to_root}{document}.html" title="{name}">{number}</a>' if document in pages else number


def _controls(table: pd.DataFrame) -> str:
    selects = "".join(_select(column, table[column]) for column in FILTERS)
    return (
        '<form class="vt-ledger-controls" role="search" aria-label="The ledger" hidden>'
        '<label>Find <input type="search" name="text" autocomplete="off" '
        'placeholder="claim, number, explanation"></label>'
        f'{selects}<button type="reset">Show all</button></form>'
    )


def _select(column: str, values: pd.Series) -> str:
    options = "".join(f"<option>{html.escape(v)}</option>" for v in dict.fromkeys(values))
    return (
        f'<label>{SHOWN[column].capitalize()} <select name="{column}"><option value="">all</option>'
        f"{options}</select></label>"
    )


def _row_html(row: dict[str, str], columns: list[str]) -> str:
    marks = "".join(f' data-{c}="{html.escape(row[c])}"' for c in FILTERS)
    claim_id = html.escape(row["claim_id"])
    # Long ids may break after a dot or a hyphen, where a reader would break them.
    broken = claim_id.replace(".", ".<wbr>").replace("-", "-<wbr>")
    cells = "".join(_cell(c, row[c]) for c in columns[1:])
    return f'<tr id="{ROW}{claim_id}"{marks}><th scope="row">{broken}</th>{cells}</tr>'


def _cell(column: str, text: str) -> str:
    kind = ' class="number"' if column in NUMERIC else f' class="{column}"'
    if column in ("grade", "verdict"):
        text = f'<span class="tag tag-{text}">{text}</span>'
    elif column != "chapter":
        text = html.escape(text)
    return f"<td{kind}>{text}</td>"


def _add_filter_script(app: Sphinx, pagename, templatename, context, doctree) -> None:
    if 'class="vt-ledger"' in context.get("body", ""):
        app.add_js_file("visiontrial/ledger.js", loading_method="defer")


def _published(root: Path) -> Path:
    return root / paths.PUBLISHED.relative_to(paths.ROOT)


def _ledger_path(root: Path) -> Path:
    return root / paths.LEDGER.relative_to(paths.ROOT)


def _stamp(root: Path) -> float:
    """What changes with the ledger, so that a cached reading of it does not outlive it."""
    path = _ledger_path(root)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the ledger comes from the chapters; run `make book`")
    return path.stat().st_mtime


def _read_ledger(root: Path) -> pd.DataFrame:
    return _ledger_by_id(_ledger_path(root), _stamp(root)).reset_index()


@cache
def _ledger_by_id(path: Path, stamp: float) -> pd.DataFrame:
    return ledger.read(path).set_index("claim_id")
