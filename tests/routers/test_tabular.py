"""Lists as CSV: a cell holds one value."""

import csv
import io

from fastapi import Response
from pydantic import BaseModel

from app.routers.tabular import answer
from app.schemas.common import Page


class Verdict(BaseModel):
    recommendation: str
    interval: tuple[float, float] | None


class Row(BaseModel):
    version: int
    verdict: Verdict | None
    stages: list[str]


def test_what_is_nested_has_columns_of_its_own() -> None:
    verdict = Verdict(recommendation="hold", interval=(0.5, 0.75))
    items = [Row(version=2, verdict=verdict, stages=["Staging"]), Row(version=1, verdict=None, stages=[])]
    told = answer(Page[Row](items=items, next_cursor=None), "csv", Row)
    assert isinstance(told, Response)
    assert list(csv.DictReader(io.StringIO(bytes(told.body).decode()))) == [
        {"version": "2", "verdict_recommendation": "hold", "verdict_interval": "[0.5, 0.75]", "stages": '["Staging"]'},
        {"version": "1", "verdict_recommendation": "", "verdict_interval": "", "stages": "[]"},
    ]
