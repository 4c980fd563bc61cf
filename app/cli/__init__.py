"""The `holdfast` command: the same services as over HTTP, on the same store, with or without a running service."""

import typer

from app.cli import datasets, lifecycle, operate, policy, simulate

app = typer.Typer(
    name="holdfast",
    help="The whole life of a churn model: import data, train, evaluate, promote, score, monitor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lifecycle.add_to(app)
datasets.add_to(app)
policy.add_to(app)
operate.add_to(app)
simulate.add_to(app)


def main() -> None:
    """Run the command; exit code 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    app()
