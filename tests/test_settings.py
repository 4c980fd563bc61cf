"""Where settings come from, and what stops the start."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings, read_source_password


def test_plain_postgresql_urls_get_our_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db/churn")
    assert Settings().database_url == "postgresql+asyncpg://u:p@db/churn"


def test_another_database_is_refused() -> None:
    with pytest.raises(ValidationError, match="PostgreSQL URL"):
        Settings(database_url="sqlite:///x.db")


def test_a_config_field_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_EVALUATION__MIN_AUC", "0.75")
    assert Settings().evaluation == {"min_auc": "0.75"}


def test_a_wrong_config_field_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_EVALUATION__MIN_AUK", "0.75")
    with pytest.raises(ValidationError, match="min_auk"):
        Settings()


@pytest.mark.parametrize(("name", "value"), [("XGBOOST_PARAMS__DEPTH", "3"), ("LOGISTIC_PARAMS__C", "-1")])
def test_a_wrong_parameter_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"HOLDFAST_MODEL__{name}", value)
    with pytest.raises(ValidationError, match=r"xgboost_params.depth|logistic_params.C"):
        Settings()


@pytest.mark.parametrize(
    ("section", "layer"),
    [
        ("evaluation", {"min_calibration_slope": 2.0}),  # above the greatest slope of the code
        ("evaluation", {"min_calibration_slope": 1.2, "max_calibration_slope": 1.1}),
        ("monitoring", {"psi_critical": 0.05}),  # below the warning limit of the code
        ("scoring", {"tiers": {"medium": 0.8}}),  # above the high tier of the code
        ("training", {"search": {"space": {"max_depth": {"choices": [3]}}}}),  # a search without an end
    ],
)
def test_a_section_that_can_not_be_used_over_the_code_stops_the_start(section: str, layer: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=section):
        Settings.model_validate({section: layer})


def test_a_search_of_what_the_model_does_not_take_stops_the_start() -> None:
    search = {"n_trials": 5, "space": {"num_leaves": {"low": 2, "high": 9}}}
    assert Settings(model={"model_type": "lightgbm"}, training={"search": search}).training == {"search": search}
    with pytest.raises(ValidationError, match=r"space.num_leaves.low"):
        Settings(training={"search": search})


def test_the_one_parameter_in_upper_case_is_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_MODEL__LOGISTIC_PARAMS__C", "0.5")
    assert Settings().model == {"logistic_params": {"C": 0.5}}


def test_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://u:secret@db/churn")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "secret" not in str(caught.value)


def test_hosts_of_queries_stand_with_commas_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().query_hosts is None
    monkeypatch.setenv("HOLDFAST_QUERY_HOSTS", "DWH.example.com, 10.0.0.7:6432,")
    assert Settings().query_hosts == ("dwh.example.com", "10.0.0.7:6432")


def test_only_variables_for_sources_are_read_as_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_SOURCE_DWH", "x")
    assert read_source_password("HOLDFAST_SOURCE_DWH") == "x"
    assert read_source_password("HOLDFAST_SOURCE_NONE") is None
    with pytest.raises(ValueError, match="begin with HOLDFAST_SOURCE_"):
        read_source_password("DATABASE_URL")
