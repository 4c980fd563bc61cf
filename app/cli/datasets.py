"""The verbs of datasets: making one of any kind from its description."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.caller import actor
from app.cli.options import parse_document
from app.cli.session import AsJson, DatasetOption, guarded, print_json, run

if TYPE_CHECKING:  # the services cost seconds to import, `--help` should not
    from app.container import Services

datasets = typer.Typer(help="Datasets: where features and labels come from.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this module."""
    for verb in (create, features, leaks):
        datasets.command()(verb)
    app.add_typer(datasets, name="dataset")


def create(
    file: Annotated[
        typer.FileText, typer.Argument(help="Its description as JSON, as POST /datasets takes it; - reads stdin.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Describe a dataset of any kind; queries are tried out."""
    from app.cli.reports import show_dataset
    from app.schemas.described import DatasetIn

    text = file.read()
    body = guarded(lambda: parse_document(DatasetIn, text))

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.datasets.create(body, actor=actor())).model_dump(mode="json")

    made = run(action)
    print_json(made) if as_json else show_dataset(made)


def features(*, dataset: DatasetOption = None, as_json: AsJson = False) -> None:
    """Say what each feature that is built of facts means."""
    from app.cli.reports import show_features

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.features.describe(dataset)).model_dump(mode="json")

    told = run(action)
    print_json(told) if as_json else show_features(told)


def leaks(*, dataset: DatasetOption = None, as_json: AsJson = False) -> None:
    """Look for features that know the outcome."""
    from app.cli.reports import show_leaks

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.leaks.find(dataset)).model_dump(mode="json")

    found = run(action)
    print_json(found) if as_json else show_leaks(found)
