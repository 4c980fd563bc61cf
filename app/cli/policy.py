"""The verbs of the gate's policy; who may open the store is the operator."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.caller import actor
from app.cli.options import parse_document, request
from app.cli.session import AsJson, DatasetOption, guarded, print_json, run

if TYPE_CHECKING:  # the services cost seconds to import, `--help` should not
    from app.container import Services

policy = typer.Typer(help="The gate's policy: the bar in force, and changing it.", no_args_is_help=True)
Bar = Annotated[
    typer.FileText, typer.Argument(help="The bar as JSON, as `evaluation` of PUT /gate/policy; - reads stdin.")
]
Scope = Annotated[
    str | None, typer.Option("--dataset", help="A dataset; by default that for datasets without a policy of their own.")
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this module."""
    policy.command("show")(show_policy)
    policy.command("set")(set_policy)
    policy.command("try")(try_policy)
    app.add_typer(policy, name="policy")


def show_policy(*, dataset: Scope = None, as_json: AsJson = False) -> None:
    """Show the bar in force, and the document it comes from."""
    from app.cli.reports import show_policy_in_force

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.gate.show(dataset)).model_dump(mode="json")

    told = run(action)
    print_json(told) if as_json else show_policy_in_force(told)


def set_policy(
    file: Bar,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the document.")],
    dataset: Scope = None,
    if_number: Annotated[
        int | None, typer.Option(help="Only where this is still the newest document of its scope; 0: none yet.", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a new version of the policy; verdicts by the one before no longer hold."""
    from app.cli.reports import show_new_policy
    from app.schemas.config import EvaluationConfig
    from app.schemas.gate import PolicyIn

    text = file.read()
    bar = guarded(lambda: parse_document(EvaluationConfig, text))
    body = request(PolicyIn, dataset=dataset, evaluation=bar, reason=reason)
    if_match = None if if_number is None else f'"{if_number}"'

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.gate.put(body, if_match=if_match, actor=actor())).model_dump(mode="json")

    made = run(action)
    print_json(made) if as_json else show_new_policy(made)


def try_policy(
    file: Bar,
    *,
    dataset: DatasetOption = None,
    n_versions: Annotated[int, typer.Option(help="How many of the versions judged last.", min=1, max=50)] = 10,
    as_json: AsJson = False,
) -> None:
    """Tell what a policy would have decided for the versions judged last; nothing is changed."""
    from app.cli.reports import show_dry_run
    from app.schemas.config import EvaluationConfig
    from app.schemas.gate import DryRunIn

    text = file.read()
    bar = guarded(lambda: parse_document(EvaluationConfig, text))
    body = request(DryRunIn, evaluation=bar, dataset=dataset, n_versions=n_versions)

    async def action(services: "Services") -> dict[str, Any]:
        return (await services.dry_runs.dry_run(body)).model_dump(mode="json")

    found = run(action)
    print_json(found) if as_json else show_dry_run(found)
