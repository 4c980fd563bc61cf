"""How a dataset of queries is described: where its source may be, and what its SQL must be."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.schemas.query import QueryIn, SourceAddress, read_query_spec, read_source_url

DOCS = Path(__file__).parent.parent.parent / "docs/data.md"
SAMPLE: dict[str, Any] = QueryIn.model_json_schema()["examples"][0]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u@h/d", SourceAddress("h", 5432, "u", "d", "prefer")),
        ("postgres://u@10.0.0.7:6432/d?sslmode=verify-full", SourceAddress("10.0.0.7", 6432, "u", "d", "verify-full")),
        ("postgresql://a%40b@[::1]/d%20w", SourceAddress("::1", 5432, "a@b", "d w", "prefer")),
    ],
)
def test_a_source_is_one_host_by_tcp(url: str, address: SourceAddress) -> None:
    assert read_source_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h/d", "postgresql://u:@h/d", "postgresql://u@/d", "postgresql:///d?host=/tmp",
        "postgresql://u@h/d?host=/tmp", "postgresql://u@h/d?user=x", "postgresql://u@h/d?password=secret",
        "postgresql://u@%2Ftmp/d", "postgresql://u@h1,h2/d", "postgresql://u@h:0x1/d", "postgresql://u:secret#x@h/d",
        "postgresql://u@h:99999/d", "postgresql://h/d", "postgresql://u@h", "postgresql://u@h/", "postgresql://u@h/a/b",
        "postgresql+asyncpg://u@h/d", "http://u@h/d", "file:///etc/passwd", "", "host=h user=u", "postgresql://u@[::1/d",
        "postgresql://u@h/d?sslmode=none", "postgresql://u@h/d#x", "postgresql://u@@/tmp/d",
    ],
)  # fmt: skip
def test_other_sources_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="it") as refusal:
        read_source_url(url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "more",
    [
        {"password_env": "HOME"},
        {"password_env": "HOLDFAST_SOURCE_"},
        {"password_env": "XHOLDFAST_SOURCE_A"},
        {"password": "x"},
        {"statement_timeout_seconds": 0},
        {"statement_timeout_seconds": 3601},
        {"features_sql": "SELECT :horizon_days, :as_of"},
        {"labels_sql": "SELECT :horizon_days"},
        {"labels_sql": "SELECT :as_of\0"},
        {"id_column": "churned"},
        {"label_column": "as_of"},
        {"exclude_columns": ["churned"]},
        {"horizon_days": None},
        {"instants": ["2024-01-01T00:00:00"]},
    ],
)
def test_what_can_not_be_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QueryIn.model_validate(SAMPLE | more)


def test_a_row_of_the_store_is_the_description_again() -> None:
    body = QueryIn.model_validate(SAMPLE | {"id_column": "key", "exclude_columns": ["x"], "lead_days": 3})
    columns = body.columns()
    assert (columns["id_column"], columns["as_of_column"], columns["source_table"]) == ("key", "as_of", None)
    kept = {name: value for name, value in columns.items() if name not in ("spec", "as_of_column", "source_table")}
    assert read_query_spec(kept, columns["spec"]) == body


def test_the_description_in_the_docs_is_one() -> None:
    [described] = [
        each for each in re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL) if "source_url" in each
    ]
    assert QueryIn.model_validate(json.loads(described)).name == "shop"
