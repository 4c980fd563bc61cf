"""What the service advises as HTTP calls, as commands to type."""

import json
import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


def as_command(call: str) -> str:
    """`POST /models/7/evaluate` as `holdfast evaluate --version 7`; what has no command stays as it is."""
    for pattern, command in _COMMANDS:
        if found := re.fullmatch(pattern, call):
            return command(found)
    return call


def _register(found: re.Match[str]) -> str:
    body: Json = json.loads(found["body"])
    model = "" if body["model"] == "primary" else f" --model {body['model']}"
    return f"holdfast register --job {body['job_id']}{model}"


def _score(found: re.Match[str]) -> str:
    body: Json = json.loads(found["body"])
    options = {"version": "--model-version", "dataset": "--dataset"}
    return "holdfast score" + "".join(f" {option} {body[key]}" for key, option in options.items() if key in body)


_COMMANDS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"POST /models/(?P<version>\d+)/evaluate", lambda found: f"holdfast evaluate --version {found['version']}"),
    (r"POST /models/(?P<version>\d+)/promote", lambda found: f"holdfast promote --version {found['version']}"),
    (r"POST /models (?P<body>\{.*\})", _register),
    (r"POST /score/batches (?P<body>\{.*\})", _score),
]

HINTS = {
    "nothing_registered": "Train with `holdfast train --register`, or make a finished training a version with "
    "`holdfast register --job NUMBER`.",
    "nothing_in_production": "Judge a version with `holdfast evaluate`, then put it there with `holdfast promote`.",
    "mlflow_unavailable": "MLflow is part of the installation: `make install` brings it back; then type this again.",
    "shap_failed": "Train without explanations: `holdfast train --no-shap`.",
    "gate_not_passed": "The champion stays. Mend what the gate names and train again, or "
    "`holdfast promote --force --reason ...`, which is marked in the ledger.",
}
