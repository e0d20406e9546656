"""What every benchmark shares: its options, timing in medians, a table on the screen and rows in a file."""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Row = Mapping[str, str | int | float]

_COLUMN = re.compile(r"[a-z][a-z0-9_]*")


def options(doc: str | None) -> argparse.Namespace:
    """What `parser` finds on the command line."""
    return parser(doc).parse_args()


def parser(doc: str | None) -> argparse.ArgumentParser:
    """`--quick` for a run of under a minute, `--json FILE` for the rows."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="a smaller run, under a minute on two cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows of the table as JSON")
    return parser


def show(rows: Sequence[Row], json_file: Path | None) -> None:
    """Write rows if asked, and print them as an aligned table; keys are in snake case, and may be absent."""
    _write(rows, json_file)
    _print(rows)


def show_tables(tables: Mapping[str, Sequence[Row]], json_file: Path | None) -> None:
    """Print several tables below their titles; in the file every row says which `table` it is of."""
    _write([{"table": title, **row} for title, rows in tables.items() for row in rows], json_file)
    for title, rows in tables.items():
        print(f"\n{title}\n")
        _print(rows)


def _print(rows: Sequence[Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for column in columns:
        if not _COLUMN.fullmatch(column):
            raise ValueError(f"the column {column!r} is not in snake case")
    cells = [columns, *([_cell(row.get(c, "")) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for n, line in enumerate(cells):
        numeric = [not any(isinstance(row.get(c), str) for row in rows) for c in columns]
        padded = (
            c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, numeric, strict=True)
        )
        print("| " + " | ".join(padded) + " |")
        if n == 0:
            print(
                "|"
                + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, numeric, strict=True))
                + "|"
            )


def _write(rows: Sequence[Row], json_file: Path | None) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")


def _cell(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def median_ms(run: Callable[[], object], *, seconds: float = 0.5, rounds: int = 7) -> float:
    """Median over the rounds of the mean time of a call, warmed up: milliseconds of processor time.

    With one thread that is what an idle core takes, also while other programs run.
    """
    run()
    began = time.process_time()
    run()
    repeats = max(1, int(seconds / rounds / max(time.process_time() - began, 1e-6)))
    means = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(repeats):
            run()
        means.append(1e3 * (time.process_time() - began) / repeats)
    return statistics.median(means)
