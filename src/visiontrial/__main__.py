"""`python -m visiontrial <command>`: what the Makefile calls.

A failure that somebody can mend is printed as its message and ends with status 1; a
traceback is a defect of this package.
"""

from __future__ import annotations

import argparse
import signal
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    chosen = _parser().parse_args(arguments)
    # Being told to end is an interruption: it ends the worker processes too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        chosen.command(chosen)
    except (ValueError, RuntimeError) as error:
        if not isinstance(error, _mendable()):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was half done is done again next time.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m visiontrial", description="The commands behind make.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (command, purpose) in COMMANDS.items():
        commands.add_parser(name, help=purpose).set_defaults(command=command)
    commands.choices["pairs"].add_argument(
        "--check", action="store_true", help="write nothing; fail when a notebook is not the twin of its text"
    )
    commands.choices["execute"].add_argument("chapter", nargs="*", help="a chapter, such as 02-baseline")
    _add_ensemble_options(commands.choices["ensemble"])
    _add_calibration_options(commands.choices["calibrate"])
    _add_sensitivity_options(commands.choices["sensitivity"])
    _add_validation_options(commands.choices["validate"])
    return parser


def _add_ensemble_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", action="append", default=[], metavar="NAME", help="this one; repeatable")
    _add_number(command, "--members", "a trial run of N chains, stored in _build")
    _add_workers(command)
    command.add_argument("--seed", metavar="TEXT", help="derive other seeds from TEXT; stored in _build")


def _add_calibration_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--half", metavar="NAME", help="tune, report or prior (default: all)")
    _add_number(command, "--trials", "a trial run: so many per family; in _build")
    _add_number(command, "--members", "a trial run: so many per trial; in _build")
    _add_workers(command)


def _add_sensitivity_options(command: argparse.ArgumentParser) -> None:
    _add_number(command, "--members", "a trial run: the first N; stored in _build")
    _add_local_workers(command)


def _add_validation_options(command: argparse.ArgumentParser) -> None:
    from visiontrial.validation import PARTS

    command.add_argument("--only", action="append", default=[], choices=PARTS, help="this part; repeatable")
    _add_number(command, "--members", "a trial run: so many chains; in _build")
    _add_workers(command)


def _add_workers(command: argparse.ArgumentParser) -> None:
    _add_local_workers(command)
    command.add_argument("--scheduler", metavar="ADDRESS", help="run the chains on this Dask cluster instead")


def _add_local_workers(command: argparse.ArgumentParser) -> None:
    _add_number(command, "--workers", "local processes (default: one per core)")


def _add_number(command: argparse.ArgumentParser, name: str, purpose: str) -> None:
    command.add_argument(name, type=_at_least_one, metavar="N", help=purpose)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"give a whole number of 1 or more, not {text!r}")
    return int(text)


def _workers(chosen) -> dict[str, object]:
    return {"processes": chosen.workers, "scheduler": chosen.scheduler}


# Each command imports what it needs: `check` must not wait for the tools that draw.


def _book(_) -> None:
    from visiontrial import build

    build.book()


def _ledger(_) -> None:
    from visiontrial import build

    build.accept_ledger()


def _calibrate(chosen) -> None:
    from visiontrial import workers

    workers.one_thread_each()
    from visiontrial.cohort import calibration

    calibration.command(
        chosen.half,
        trials=chosen.trials,
        members=chosen.members,
        **_workers(chosen),
    )


def _check(_) -> None:
    from visiontrial import check

    print(check.run())


def _checksums(_) -> None:
    from visiontrial import files, paths, published

    recorded = "".join(f"{digest}  {name}\n" for name, digest in published.checksums().items())
    files.write_text(paths.PUBLISHED / published.CHECKSUMS, recorded)
    print(f"Recorded in {published.CHECKSUMS}: commit it together with the correction.")


def _ensemble(chosen) -> None:
    from visiontrial import workers

    workers.one_thread_each()
    from visiontrial.cohort import ensemble

    ensemble.command(
        chosen.only,
        members=chosen.members,
        **_workers(chosen),
        purpose=chosen.seed or ensemble.PURPOSE,
    )


def _execute(chosen) -> None:
    from visiontrial import execute

    if not chosen.chapter:
        execute.all()
    for name in chosen.chapter:
        print(execute.run(name))


def _pairs(chosen) -> None:
    from visiontrial import pairs

    if chosen.check:
        pairs.check()
        return
    for path in pairs.sync():
        print(f"written: {path.name}")


def _sensitivity(chosen) -> None:
    from visiontrial import workers

    workers.one_thread_each()
    from visiontrial.sensitivity import precomputed

    precomputed.command(members=chosen.members, processes=chosen.workers)


def _validate(chosen) -> None:
    from visiontrial import workers

    workers.one_thread_each()
    from visiontrial import validation

    validation.command(chosen.only, members=chosen.members, **_workers(chosen))


COMMANDS = {
    "book": (_book, "execute the chapters, confirm the numbers, build the site"),
    "calibrate": (_calibrate, "reconstruct simulated trials and compare them with their truth"),
    "check": (_check, "validate the published numbers and hold every identity against them"),
    "checksums": (_checksums, "record the checksums of the published numbers, after a correction"),
    "ensemble": (_ensemble, "reconstruct, verify and store the ensembles of cohorts"),
    "execute": (_execute, "execute the chapters named, or those that changed"),
    "ledger": (_ledger, "accept the ledger as it now is as the committed copy"),
    "pairs": (_pairs, "write the notebooks from their texts"),
    "sensitivity": (_sensitivity, "analyse every member of the ensemble under other fates of its dropouts"),
    "validate": (_validate, "reconstruct real trials, leave out what VISION prints, ask R"),
}


def _mendable() -> tuple[type[Exception], ...]:
    """The errors whose messages are ready to print; imported only once something failed."""
    from visiontrial.build import BuildError
    from visiontrial.cohort.characteristics import CharacteristicsError
    from visiontrial.cohort.displayed import DisplayedError
    from visiontrial.cohort.ensemble import EnsembleError
    from visiontrial.cohort.rebuilding import RebuildingError
    from visiontrial.cohort.references import SpecificationError
    from visiontrial.cohort.store import StoreError
    from visiontrial.execute import ExecutionError
    from visiontrial.fitted import FittedError
    from visiontrial.ledger import LedgerError
    from visiontrial.pairs import PairError
    from visiontrial.published import PublishedDataError
    from visiontrial.sensitivity.fits import FitsDiffer
    from visiontrial.sensitivity.precomputed import SensitivityError
    from visiontrial.validation.datasets import DataMissing
    from visiontrial.workers import WorkersError

    return (
        BuildError, CharacteristicsError, DataMissing, DisplayedError, EnsembleError, ExecutionError,
        FittedError, FitsDiffer, LedgerError, PairError, PublishedDataError, RebuildingError,
        SensitivityError, SpecificationError, StoreError, WorkersError,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
