"""What every benchmark prints and writes."""

import json
from pathlib import Path

import pytest

from tests.bench.table import Row, show, show_tables

ROWS: list[Row] = [{"method": "lm", "ms": 1.5}, {"method": "lsr1", "ms": 2}]


def test_the_file_is_the_list_of_rows(tmp_path: Path) -> None:
    show(ROWS, tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text()) == ROWS


def test_several_tables_are_one_list_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_tables({"time": ROWS, "clips": [{"clip": "walk"}]}, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    assert written == [*({"table": "time", **row} for row in ROWS), {"table": "clips", "clip": "walk"}]
    assert capsys.readouterr().out.split("\n")[:2] == ["", "time"]


@pytest.mark.parametrize("column", ["PA-MPJPE, mm", "pck 5 %", "found_by_0.15", ""])
def test_columns_are_in_snake_case(column: str) -> None:
    with pytest.raises(ValueError, match="snake case"):
        show([{column: 1}], None)


def test_a_row_may_lack_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"method": "lm"}, {"method": "lsr1", "ms": 2.5}], None)
    assert capsys.readouterr().out.split("\n")[2:4] == ["| lm     |     |", "| lsr1   | 2.5 |"]
