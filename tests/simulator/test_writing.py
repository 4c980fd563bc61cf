"""Files that read back as the facts."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from app.simulator import Treatment, simulate, truth_blocks
from app.simulator.writing import TABLES, write_files, write_truth
from tests.simulator.conftest import CHANGE, LATER, SMALL

CONFIG = replace(SMALL, n_accounts=250, block_accounts=100)


def facts(table: str) -> pa.Table:
    return pa.concat_tables(getattr(block, table) for block in simulate(CONFIG))


def test_parquet_reads_back_with_a_row_group_per_block(tmp_path: Path) -> None:
    done: list[int] = []
    n_rows = write_files(CONFIG, tmp_path, show=done.append)
    assert done == [1, 2, 3]
    assert set(n_rows) == set(TABLES)
    for table in TABLES:
        path = tmp_path / f"{table}.parquet"
        assert pq.read_table(path).equals(facts(table))
        assert pq.ParquetFile(path).num_row_groups == 3
        assert n_rows[table] == facts(table).num_rows


def test_csv_reads_back(tmp_path: Path) -> None:
    write_files(CONFIG, tmp_path, form="csv")
    for table in TABLES:
        expected = facts(table)
        options = pyarrow.csv.ConvertOptions(column_types=expected.schema, strings_can_be_null=True)
        assert pyarrow.csv.read_csv(tmp_path / f"{table}.csv", convert_options=options).equals(expected)


def test_who_was_contacted_is_written_where_accounts_are_treated(tmp_path: Path) -> None:
    n_rows = write_files(replace(CONFIG, treatment=Treatment(CHANGE)), tmp_path)
    listed = pq.read_table(tmp_path / "contacted.parquet")
    assert 0 < listed.num_rows == n_rows["contacted"]
    assert set(listed["arm"].to_pylist()) == {"treated", "held_out"}


def test_the_truth_reads_back(tmp_path: Path) -> None:
    n_customers = write_truth(CONFIG, LATER, tmp_path)
    read = pq.read_table(tmp_path / "truth.parquet")
    assert read.equals(pa.concat_tables(truth_blocks(CONFIG, LATER)))
    assert n_customers == read.num_rows


def test_a_writer_that_fails_leaves_no_file_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_files(CONFIG, tmp_path / "nowhere")
