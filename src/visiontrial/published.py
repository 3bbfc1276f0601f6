"""Read `data/published/`: the numbers the paper prints, and what is declared about them.

Every table is read as text, because what is compared is what was printed. Each is
validated as it is read; an error names the file, the line, the value and what to do.
Nothing here computes: see `identities` for what the numbers say about each other.

Source of the numbers: Sartor et al., N Engl J Med 2021;385:1091-1103,
doi 10.1056/NEJMoa2107322.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from visiontrial import paths
from visiontrial.printed import UnreadableNumber, parse, parse_date

CHECKSUMS = "SHA256SUMS"
SKIP_CHECKSUM = "VISIONTRIAL_SKIP_CHECKSUM"

LOCATIONS = ("abstract", "methods", "results", "discussion", "figure1", "table1", "table2", "captions")
ARMS = ("lu", "control", "all", "na")
ANALYSIS_SETS = (
    "all_randomized", "pfs_set", "before_march_2019", "safety", "screened", "scanned", "measurable", "na",
)  # fmt: skip
STATISTICS = (
    "count", "percent", "median", "range_low", "range_high", "hazard_ratio", "ci_low", "ci_high", "ci_level",
    "p_value", "alpha", "power", "events_planned", "n_planned", "date", "dose", "duration", "other",
)  # fmt: skip

# Numbers fixed by counting or by design stand for themselves; all others were rounded.
EXACT_STATISTICS = frozenset(
    {"count", "ci_level", "alpha", "events_planned", "n_planned", "date", "dose", "duration", "other"}
)

AS_DATE = "is no date: write it as 'March 5, 2019' or 'June 2018'"
AS_NUMBER = "is no number: write digits (0.40), a sign and digits (<0.001), a word (four) or a ratio (2:1)"
IN_PARAGRAPH = (
    "is out of order: number the sentences of a paragraph, and the paragraphs below a heading, "
    "1, 2, 3, as results.patients.2.1"
)
NO_SUCH_CLAIM = "is no claim printed there: name a claim_id of that location, or a stem of some with .*"
NO_SUCH_RESULT = "is no result_id of named_results.csv: correct it or add the result"
NO_DENOMINATOR = (
    "is a percent without denominator: name the claim_id of the count it is a percent of, "
    "or write 'no denominator' and why into its note"
)

COLUMNS = {
    "claims.csv": (
        "claim_id", "location", "item", "arm", "analysis_set",
        "statistic", "printed", "denominator", "unit", "note",
    ),
    "flow.csv": ("box", "parent", "kind", "group", "label"),
    "identities.csv": ("kind", "left", "right", "over", "note"),
    "pairings.csv": ("rule", "first", "second", "third", "meaning", "innocent"),
    "named_results.csv": ("result_id", "location", "name", "what_it_is", "analysis", "status", "needs"),
    "sentences.csv": ("sentence", "says", "claims", "named_results", "place"),
    "ownership.csv": ("prefix", "chapter"),
    "explanations.csv": ("claim_id", "explanation"),
    "reasons.csv": ("prefix", "reason"),
}  # fmt: skip


class PublishedDataError(ValueError):
    """A file in `data/published/` cannot be read as it stands; the message says where and what to do."""


@cache
def claims(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """One row per printed number, in the paper's order, validated; all columns are text (see `COLUMNS`)."""
    table = read_table("claims.csv", folder)
    validate_claims(table, str(folder / "claims.csv"))
    return table


@cache
def flow(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """The tree of Figure 1: `box`, `parent`, `kind`, `group`, `label`.

    `kind` is root, main, side, state, reason or subset. Boxes that share a parent and a group
    add up to the parent, in each analysis set; a `subset` does not take part in a sum.
    """
    table = read_table("flow.csv", folder)
    known = set(table["box"])
    _refuse(
        table,
        (table["parent"] != "") & ~table["parent"].isin(known),
        folder / "flow.csv",
        "parent",
        "is no box of this file: correct it or add the box",
    )
    return table


def named_results(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """What the paper names without printing a number, with its status in this book."""
    return read_table("named_results.csv", folder)


@cache
def sentences(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """One row per sentence of a part of the paper: what it is about, what it prints and names, where that is.

    Columns as in `COLUMNS`; `claims`, `named_results` and `place` are tuples, in the order of the
    file, with each stem (`pfs.*`) written out as the claims that it stands for. Of a location that has
    sentences, every claim stands in exactly one, and every named result in at least one.
    """
    table, path = read_table("sentences.csv", folder), folder / "sentences.csv"
    _refuse(table, table["says"].str.strip() == "", path, "says", "is empty: say what the sentence is about")
    _refuse(table, table["place"] == "", path, "place", "is empty: name the section that answers it")
    _refuse(table, ~_consecutive(table["sentence"]), path, "sentence", IN_PARAGRAPH)
    location = table["sentence"].str.split(".").str[0]
    results = named_results(folder)
    read = {
        "claims": [_claims_of(*row, folder) for row in zip(table["claims"], location, strict=True)],
        "named_results": [_known(entry, set(results["result_id"])) for entry in table["named_results"]],
    }
    for column, advice in (("claims", NO_SUCH_CLAIM), ("named_results", NO_SUCH_RESULT)):
        _refuse(table, pd.Series([found is None for found in read[column]]), path, column, advice)
    table = table.assign(**read, place=table["place"].str.split().map(tuple))
    _insist_on_all(table, claims(folder), results, set(location), path)
    return table


def identities_table(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """The relations between claims that are declared one by one; read by `identities.registry`."""
    return read_table("identities.csv", folder)


@cache
def pairings(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """Which claims a rule of `forensics` holds against each other, with what an oddity would mean."""
    return read_table("pairings.csv", folder)


def explanations(folder: Path = paths.PUBLISHED) -> dict[str, str]:
    """The reviewed explanations of claims that differ, by claim id."""
    table = read_table("explanations.csv", folder)
    return dict(zip(table["claim_id"], table["explanation"], strict=True))


@cache
def ownership(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """Which chapter answers for which claims: the longest matching prefix of the claim id decides."""
    return read_table("ownership.csv", folder)


@cache
def reasons(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """Why the ledger can say no more of a claim: the longest matching prefix of the claim id decides."""
    return read_table("reasons.csv", folder)


def printed(claim_id: str, folder: Path = paths.PUBLISHED) -> str:
    """The characters printed for one claim. Raises `KeyError` with the nearest ids when there is none."""
    return _printed_by_id(folder)[_known_id(claim_id, folder)]


def value(claim_id: str, folder: Path = paths.PUBLISHED) -> float | int:
    """The number behind one claim, as an `int` where it is whole and printed without decimals."""
    number = parse(printed(claim_id, folder))
    return int(number.value) if number.value.denominator == 1 and not number.decimals else float(number.value)


_ARMS = {"lu": "177Lu-PSMA-617", "control": "control"}
_SETS = {
    "all_randomized": "all randomized",
    "pfs_set": "PFS set",
    "before_march_2019": "randomized earlier",
    "safety": "safety set",
    "screened": "screened",
    "scanned": "scanned",
    "measurable": "with measurable lesions",
}
_STATISTICS = {
    "count": "number",
    "range_low": "lowest",
    "range_high": "highest",
    "ci_low": "lower limit",
    "ci_high": "upper limit",
    "ci_level": "confidence level",
    "p_value": "P value",
    "events_planned": "events planned",
    "n_planned": "patients planned",
    "other": "",
}  # the others are words as they are


def in_words(claim_id: str, folder: Path = paths.PUBLISHED) -> str:
    """What a claim is the number of: `Overall survival, all randomized, control, median`.

    `subject` and `statistic` in one. Raises as `printed` does.
    """
    return ", ".join(filter(None, [subject(claim_id, folder), statistic(claim_id, folder)]))


def subject(claim_id: str, folder: Path = paths.PUBLISHED) -> str:
    """What a claim is about: the paper's label, the analysis set if the label has several, the arm.

    Raises as `printed` does.
    """
    claim = _by_id(folder).loc[_known_id(claim_id, folder)]
    sets = _sets_of_items(folder).get(claim["item"], set())
    analysis_set = _SETS.get(claim["analysis_set"], "") if len(sets) > 1 else ""
    return ", ".join(filter(None, [claim["item"], analysis_set, _ARMS.get(claim["arm"], "")]))


def statistic(claim_id: str, folder: Path = paths.PUBLISHED) -> str:
    """Which statistic a claim is (empty where none has a name), and whether it is the one in the abstract.

    Raises as `printed` does.
    """
    claim = _by_id(folder).loc[_known_id(claim_id, folder)]
    name = _STATISTICS.get(claim["statistic"], claim["statistic"].replace("_", " "))
    return ", ".join(filter(None, [name, "in the abstract" if claim["location"] == "abstract" else ""]))


def read_table(name: str, folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """Read one file of `data/published/` as text, insisting on its columns."""
    path = folder / name
    if not path.exists():
        raise PublishedDataError(f"{path}: the file is missing; restore it with `git checkout -- {path}`")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise PublishedDataError(f"{path}: not a readable UTF-8 CSV: {error}") from error
    wanted = list(COLUMNS[name])
    if list(table.columns) != wanted:
        raise PublishedDataError(
            f"{path}: line 1: the columns are {list(table.columns)}; they must be {wanted}"
        )
    return table


def validate_claims(table: pd.DataFrame, source: str = "claims.csv") -> None:
    """Raise `PublishedDataError` naming each line that breaks the schema, its value and the remedy."""
    is_date = table["statistic"] == "date"
    slices = [
        (table, _vocabulary_schema(table)),
        (table[is_date], _column("printed", pa.Check(_reads(parse_date), error=AS_DATE))),
        (table[~is_date], _column("printed", pa.Check(_reads(parse), error=AS_NUMBER))),
        (_bare_percents(table), _column("claim_id", pa.Check(lambda ids: ids == "", error=NO_DENOMINATOR))),
    ]
    problems = sorted({problem for rows, schema in slices for problem in _failures(rows, schema)})
    if problems:
        raise PublishedDataError("\n".join(f"{source}: line {row + 2}: {text}" for row, text in problems))


def verify_checksums(folder: Path = paths.PUBLISHED) -> None:
    """Raise `PublishedDataError` when a file differs from its line in `SHA256SUMS`.

    The environment variable `VISIONTRIAL_SKIP_CHECKSUM=1` switches this check, and only this
    one, off: for whoever is editing the data and wants the other checks to speak.
    """
    if os.environ.get(SKIP_CHECKSUM) == "1":
        return
    record = folder / CHECKSUMS
    if not record.exists():
        raise PublishedDataError(f"{record}: the file is missing; restore it with `git checkout -- {record}`")
    recorded = dict(reversed(line.split("  ", 1)) for line in record.read_text().splitlines())
    actual = checksums(folder)
    changed = sorted(
        name for name in recorded.keys() | actual.keys() if recorded.get(name) != actual.get(name)
    )
    if changed:
        raise PublishedDataError(
            f"{folder}: changed since the checksums were recorded: {', '.join(changed)}. "
            f"If you meant it, check with {SKIP_CHECKSUM}=1 make check, then record with: make checksums"
        )


def checksums(folder: Path = paths.PUBLISHED) -> dict[str, str]:
    """SHA-256 of every CSV of the folder and of its readings, by relative path, sorted."""
    files = sorted(folder.rglob("*.csv"))
    return {f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def _vocabulary_schema(table: pd.DataFrame) -> pa.DataFrameSchema:
    counts = ["", *table.loc[table["statistic"] == "count", "claim_id"]]
    words = {"location": LOCATIONS, "arm": ARMS, "analysis_set": ANALYSIS_SETS, "statistic": STATISTICS}
    columns = {
        name: pa.Column(str, pa.Check.isin(known, error=f"is unknown: use one of {', '.join(known)}"))
        for name, known in words.items()
    }
    dotted = pa.Check.str_matches(
        r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", error="must be lower-case words joined by dots"
    )
    columns["claim_id"] = pa.Column(str, dotted, unique=True)
    columns["denominator"] = pa.Column(
        str, pa.Check.isin(counts, error="is not the claim_id of a count: correct it")
    )
    return pa.DataFrameSchema(columns)


def _column(name: str, check: pa.Check) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({name: pa.Column(str, check)})


def _reads(read):
    """A check that holds where `read` accepts the characters."""

    def accepts(text: str) -> bool:
        try:
            read(text)
        except UnreadableNumber:
            return False
        return True

    return lambda column: column.map(accepts)


def _bare_percents(table: pd.DataFrame) -> pd.DataFrame:
    bare = (table["statistic"] == "percent") & (table["denominator"] == "")
    return table[bare & ~table["note"].str.contains("no denominator")]


def _failures(rows: pd.DataFrame, schema: pa.DataFrameSchema):
    try:
        schema.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for case in errors.failure_cases.itertuples():
            remedy = (
                "stands twice: give this line an id of its own"
                if case.check == "field_uniqueness"
                else case.check
            )
            yield int(case.index), f"{case.column} {case.failure_case!r} {remedy}"


def _refuse(table: pd.DataFrame, wrong: pd.Series, path: Path, column: str, advice: str) -> None:
    if wrong.any():
        lines = [
            f"{path}: line {row + 2}: {column} {table.at[row, column]!r} {advice}"
            for row in table.index[wrong]
        ]
        raise PublishedDataError("\n".join(lines))


def _consecutive(names: pd.Series) -> pd.Series:
    """Which sentences follow the one before: the next of its paragraph, or the first of what comes next."""
    follows, before, seen = [], ("", 0, 0), set()
    for name in names:
        found = re.fullmatch(r"([a-z]+\.[a-z0-9-]+)\.([1-9]\d*)\.([1-9]\d*)", name)
        here = (found[1], int(found[2]), int(found[3])) if found else before
        heading, paragraph, sentence = before
        due = {(heading, paragraph, sentence + 1), (heading, paragraph + 1, 1)} if heading else set()
        follows.append(bool(found) and (here in due or (here[0] not in seen and here[1:] == (1, 1))))
        before = here
        seen.add(here[0])
    return pd.Series(follows, index=names.index, dtype=bool)


def _claims_of(entry: str, location: str, folder: Path) -> tuple[str, ...] | None:
    """The claims of a location that an entry names, stems written out; `None` when a word names none."""
    table = claims(folder)
    printed_there = table.loc[table["location"] == location, "claim_id"]
    found: list[str] = []
    for word in entry.split():
        stem = word.removesuffix("*") if word.endswith(".*") else None
        named = printed_there[printed_there.str.startswith(stem) if stem else printed_there == word]
        if named.empty:
            return None
        found.extend(named)
    return tuple(found)


def _known(entry: str, known: set[str]) -> tuple[str, ...] | None:
    return tuple(entry.split()) if known.issuperset(entry.split()) else None


def _insist_on_all(table: pd.DataFrame, known: pd.DataFrame, results: pd.DataFrame, locations, path) -> None:
    """Refuse a claim that stands in no sentence or in two, and a named result that stands in none."""
    stands = table["claims"].explode().dropna().value_counts()
    named = set(table["named_results"].explode())
    due = known.loc[known["location"].isin(locations), "claim_id"]
    problems = [
        f"claim {claim_id} stands in {stands.get(claim_id, 0)} sentences: name it in the one that prints it"
        for claim_id in due
        if stands.get(claim_id, 0) != 1
    ]
    problems += [
        f"named result {row.result_id} stands in no sentence: name it there, or correct its location"
        for row in results[results["location"].isin(locations)].itertuples()
        if row.result_id not in named
    ]
    if problems:
        raise PublishedDataError("\n".join(f"{path}: {problem}" for problem in problems))


@cache
def _by_id(folder: Path) -> pd.DataFrame:
    return claims(folder).set_index("claim_id")


@cache
def _sets_of_items(folder: Path) -> dict[str, set[str]]:
    table = claims(folder)
    return table[table["analysis_set"] != "na"].groupby("item")["analysis_set"].agg(set).to_dict()


@cache
def _printed_by_id(folder: Path) -> dict[str, str]:
    table = claims(folder)
    return dict(zip(table["claim_id"], table["printed"], strict=True))


def _known_id(claim_id: str, folder: Path) -> str:
    known = _printed_by_id(folder)
    if claim_id not in known:
        import difflib

        near = difflib.get_close_matches(claim_id, known, n=3, cutoff=0.4)
        raise KeyError(f"no claim {claim_id!r} in claims.csv; near it: {', '.join(near) or 'nothing'}")
    return claim_id
