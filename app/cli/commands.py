"""What the service advises as HTTP calls, as commands to type."""

import json
import re
from collections.abc import Callable

HINTS = {
    "nothing_registered": "Train with `holdfast train --register`, or make a finished training a version with "
    "`holdfast register --job NUMBER`.",
    "mlflow_unavailable": "MLflow is part of the installation: `make install` brings it back; then type this again.",
    "shap_failed": "Train without explanations: `holdfast train --no-shap`.",
    "query_changed": "Train anew with `holdfast train --register`, or give the source its columns back.",
    "leaks_found": "Leave the feature out with `holdfast train --exclude-feature NAME`, mend its source, or, where it "
    "is honest, accept the finding with `holdfast train --accept-leak FINDING`.",
    "gate_not_passed": "Nothing has changed. Mend what the gate names and train again, or "
    "`holdfast promote --force --reason ...`, which is marked in the ledger.",
}


def hint_for(code: str, hint: str) -> str:
    """What to type next after a failure; `hint` is what the service says to those who call it over HTTP."""
    return HINTS.get(code) or in_commands(hint)


def in_commands(text: str) -> str:
    """The text with each `POST /models/7/evaluate` as `holdfast evaluate --version 7`; what has no command stays."""
    for pattern, command in _COMMANDS:
        text = re.sub(pattern, command, text)
    return text


_OF_VERSION = {"stage": "--stage", "revision": "--revision"}


def _with_version(found: re.Match[str]) -> str:
    return f"holdfast {found['verb']} --version {found['version']}{_options(found['body'], _OF_VERSION)}"


def _register(found: re.Match[str]) -> str:
    body = found["body"].replace(', "model": "primary"', "")  # the default
    return "holdfast register" + _options(body, {"job_id": "--job", "model": "--model"})


def _score(found: re.Match[str]) -> str:
    return "holdfast score" + _options(found["body"], {"version": "--model-version", "dataset": "--dataset"})


def _import(found: re.Match[str]) -> str:
    name = "NAME" if found["name"] == "{name}" else found["name"]
    return f"holdfast import FILE --name {name}{' --append' if found['verb'] == 'POST' else ''}"


def _look(found: re.Match[str]) -> str:
    return f"holdfast dataset {found['what']} --dataset {found['name']}"


def _options(body: str | None, names: dict[str, str]) -> str:
    fields = json.loads(body or "{}")
    return "".join(f" {option} {fields[name]}" for name, option in names.items() if name in fields)


_BODY = r"(?: (?P<body>\{[^{}]*\}))?"
_COMMANDS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"POST /models/(?P<version>\d+)/(?P<verb>evaluate|promote)" + _BODY, _with_version),
    (r"POST /models (?P<body>\{[^{}]*\})", _register),
    (r"POST /score/batches" + _BODY, _score),
    (r"GET /models\b(?!/)", lambda _: "holdfast history"),
    (r"POST /datasets, then upload rows with PUT /datasets/\{name\}/rows", lambda _: "holdfast import --help"),
    (r"(?P<verb>PUT|POST) /datasets/(?P<name>[^/\s]+)/rows", _import),
    (
        r"(?:PUT or )?(?P<verb>PUT|POST) /datasets/(?P<name>[^/\s]+)/facts/(?P<fact>accounts|subscriptions|events)",
        lambda found: f"{_import(found)} --fact {found['fact']}",
    ),
    (r"GET /datasets/(?P<name>[^/\s]+)/(?P<what>features|leaks)\b", _look),
    (r"DELETE /datasets/\S+, then describe it anew with POST /datasets", lambda _: "import the file with another one"),
    (r"Give `dataset`", lambda _: "Give --dataset"),
]
