"""The verbs of a model's life, from data to the monitor."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.caller import actor
from app.cli.options import changes, parse_params, parse_version, request
from app.cli.session import AsJson, DatasetOption, print_json, run

if TYPE_CHECKING:  # the services cost seconds to import, `--help` should not
    from app.container import Services

VersionOption = Annotated[
    str | None,
    typer.Option(
        "--version", help="A version's number; by default the newest one.", metavar="NUMBER", callback=parse_version
    ),
]
VERSION_HELP = "A version's number, champion, challenger or latest."
Seed = Annotated[int | None, typer.Option(help="Seed of everything random in the fit.", min=0)]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        help="A parameter of the model, or of another one as in xgboost_params.max_depth=4.",
        metavar="KEY=VALUE",
    ),
]
Experiment = Annotated[str | None, typer.Option(help="MLflow's experiment; by default the dataset's name.")]
ModelTypeOption = Annotated[
    str | None,
    typer.Option(
        "--model-type", help="xgboost, lightgbm, logistic, random_forest, mlp, blend; or auto, which compares them."
    ),
]
NoShap = Annotated[bool, typer.Option("--no-shap", help="Leave the explanations of the training out.")]


class Fact(StrEnum):
    """What a file of facts holds."""

    ACCOUNTS = "accounts"
    SUBSCRIPTIONS = "subscriptions"
    EVENTS = "events"


class Split(StrEnum):
    """How rows are dealt to sides."""

    TEMPORAL = "temporal"
    RANDOM = "random"


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this module."""
    app.command("import")(import_rows)
    for verb in (train, register, evaluate, promote, rollback, score, monitor, history, compare):
        app.command()(verb)


def import_rows(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file.", exists=True, dir_okay=False, readable=True)],
    *,
    name: Annotated[str, typer.Option(help="Name of the dataset; made where there is none of that name.")],
    id_column: Annotated[str | None, typer.Option(help="Column with the account's id.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that says who churned.")] = None,
    positive_value: Annotated[str | None, typer.Option(help="The value that means churned.")] = None,
    as_of_column: Annotated[
        str | None, typer.Option(help="Column with the row's instant, where rows are dated.")
    ] = None,
    horizon_days: Annotated[int | None, typer.Option(help="Days in which a churn counts.", min=1)] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be repeated.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Deals accounts to the sides.", min=0)] = None,
    fact: Annotated[Fact | None, typer.Option(help="What the file holds, for a dataset of events.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to the newest revision, do not replace it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a file's rows into a dataset, as a new revision."""
    from app.cli.data import import_file
    from app.cli.reports import show_revision

    described = changes(
        id_column=id_column,
        label_column=label_column,
        positive_value=positive_value,
        as_of_column=as_of_column,
        horizon_days=horizon_days,
        exclude_columns=exclude,
        split_seed=split_seed,
    )
    if fact is not None and described:
        raise typer.BadParameter("Facts are described by `holdfast dataset create`; leave the columns out.")
    if fact is not None:
        _import_facts(file, name, fact, append=append, as_json=as_json)
    else:
        revision = run(lambda services: import_file(services, file, name, described, append=append, actor=actor()))
        print_json(revision) if as_json else show_revision(revision)


def _import_facts(file: Path, name: str, fact: Fact, *, append: bool, as_json: bool) -> None:
    from app.cli.data import import_facts
    from app.cli.reports import show_facts

    told = run(lambda services: import_facts(services, file, name, fact.value, append=append, actor=actor()))
    print_json(told) if as_json else show_facts(told)


def train(
    *,
    dataset: DatasetOption = None,
    model_type: ModelTypeOption = None,
    experiment: Experiment = None,
    register: Annotated[bool, typer.Option("--register", help="Make the model a version at once.")] = False,
    no_shap: NoShap = False,
    split: Annotated[Split | None, typer.Option(help="By default by time, where two instants have matured.")] = None,
    exclude_feature: Annotated[list[str] | None, typer.Option(help="Leave it out; may be repeated.")] = None,
    accept_leak: Annotated[list[str] | None, typer.Option(help="A finding's name; may be repeated.")] = None,
    search_trials: Annotated[int | None, typer.Option(help="Search for parameters: so many trials.", min=1)] = None,
    search_seconds: Annotated[float | None, typer.Option(help="Search for parameters: so long.")] = None,
    param: Param = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Train a model and its baseline."""
    from app.cli.jobs import finish
    from app.cli.reports import show_training
    from app.schemas.training import TrainIn

    model = changes(model_type=model_type, seed=seed, **parse_params(param, model_type))
    training = changes(
        experiment=experiment,
        shap=False if no_shap else None,
        split=split and split.value,
        exclude_features=exclude_feature,
        accept_leaks=accept_leak,
        search=changes(n_trials=search_trials, seconds=search_seconds) or None,
    )
    body = request(TrainIn, dataset=dataset, model=model, training=training, register=register)
    result = run(lambda services: finish(services, services.training.submit(body, actor=actor())))
    print_json(result) if as_json else show_training(result)


def register(
    *,
    job: Annotated[int, typer.Option(help="The training's job.", min=1)],
    model: Annotated[str, typer.Option(help="primary or baseline.")] = "primary",
    description: Annotated[str | None, typer.Option(help="What this version is, in words.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model of a finished training a version."""
    from app.cli.reports import show_registered
    from app.schemas.models import RegisterIn

    body = request(RegisterIn, job_id=job, model=model, description=description)

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.models.register(body, actor=actor())).model_dump(mode="json")

    registered = run(action)
    print_json(registered) if as_json else show_registered(registered)


def evaluate(
    *,
    version: VersionOption = None,
    revision: Annotated[
        int | None, typer.Option(help="The dataset's revision to judge on; by default the version's own.", min=1)
    ] = None,
    dataset: DatasetOption = None,
    as_json: AsJson = False,
) -> None:
    """Put a version before the gate; exits 0 whatever the gate recommends."""
    from app.cli.jobs import finish
    from app.cli.reports import show_evaluation
    from app.schemas.evaluation import EvaluateIn

    body = request(EvaluateIn, revision=revision)

    async def action(services: "Services") -> dict[str, Any]:
        number = await _number(services, version or "latest", dataset)
        return await finish(services, services.evaluation.submit(number, body, actor=actor()))

    evaluation = run(action)
    print_json(evaluation) if as_json else show_evaluation(evaluation)


def promote(
    *,
    version: VersionOption = None,
    stage: Annotated[str, typer.Option(help="Production or Staging.")] = "Production",
    force: Annotated[bool, typer.Option("--force", help="Pass over the gate; needs --reason, and is marked.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the ledger.")] = None,
    dataset: DatasetOption = None,
    as_json: AsJson = False,
) -> None:
    """Put a version in a stage; exits 1 where the gate does not recommend it, and the champion stays."""
    from app.cli.reports import show_promotion
    from app.schemas.promotions import PromoteIn

    body = request(PromoteIn, stage=stage, force=force, reason=reason)

    async def action(services: "Services") -> dict[str, Any]:
        number = await _number(services, version or "latest", dataset)
        entry = await services.promotion.promote(number, body, if_match=None, actor=actor())
        return entry.model_dump(mode="json")

    entry = run(action)
    print_json(entry) if as_json else show_promotion(entry)


def rollback(
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")],
    version: Annotated[int | None, typer.Option(help="Where to go back to; by default the champion before.")] = None,
    dataset: DatasetOption = None,
    as_json: AsJson = False,
) -> None:
    """Go back to a version that was in Production before."""
    from app.cli.reports import show_promotion
    from app.schemas.promotions import RollbackIn

    body = request(RollbackIn, dataset=dataset, version=version, reason=reason)

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.promotion.rollback(body, if_match=None, actor=actor())).model_dump(mode="json")

    entry = run(action)
    print_json(entry) if as_json else show_promotion(entry)


def score(
    *,
    model_version: Annotated[
        str, typer.Option("--model-version", help=VERSION_HELP, callback=parse_version)
    ] = "champion",
    dataset: DatasetOption = None,
    as_json: AsJson = False,
) -> None:
    """Score every active account."""
    from app.cli.jobs import finish
    from app.cli.reports import show_scoring
    from app.schemas.scoring import BatchIn

    body = request(BatchIn, dataset=dataset, version=model_version)
    result = run(lambda services: finish(services, services.scoring.submit(body, actor=actor())))
    print_json(result) if as_json else show_scoring(result)


def monitor(
    *,
    save: Annotated[bool, typer.Option("--save", help="Also write a row in monitoring_log.")] = False,
    dataset: DatasetOption = None,
    as_json: AsJson = False,
) -> None:
    """Check the champion: drift, tiers, realised performance."""
    from app.cli.jobs import finish
    from app.cli.reports import show_monitor
    from app.schemas.monitoring import MonitorIn

    body = request(MonitorIn, dataset=dataset, save=save)
    result = run(lambda services: finish(services, services.monitoring.submit(body, actor=actor())))
    print_json(result) if as_json else show_monitor(result)


def history(
    *,
    dataset: DatasetOption = None,
    limit: Annotated[int, typer.Option(help="Versions at most, the newest first.", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List the registered versions."""
    from app.cli.reports import show_history

    async def action(services: "Services") -> list[dict[str, Any]]:
        page = await services.models.list_models(dataset=dataset, limit=limit, cursor=None)
        return [item.model_dump(mode="json") for item in page.items]

    versions = run(action)
    print_json(versions) if as_json else show_history(versions)


def compare(
    *,
    version1: Annotated[str, typer.Option(help=VERSION_HELP, callback=parse_version)],
    version2: Annotated[str, typer.Option(help="The other one.", callback=parse_version)],
    dataset: DatasetOption = None,
    as_json: AsJson = False,
) -> None:
    """Set two versions side by side."""
    from app.cli.reports import show_comparison

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.comparison.compare(version1, version2, dataset)).model_dump(mode="json")

    comparison = run(action)
    print_json(comparison) if as_json else show_comparison(comparison)


async def _number(services: "Services", name: str, dataset: str | None) -> int:
    """The number that a name such as `latest` stands for."""
    return (await services.models.get(name, dataset)).version
