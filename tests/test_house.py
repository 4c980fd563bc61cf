"""The rules of the house that a program can check: who imports what, how large a module is, what an endpoint does."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APP = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "app").rglob("*.py"))
DOOR = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "holdfast").rglob("*.py"))
TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py"))
ROUTERS = [path for path in APP if path.startswith("app/routers/") and not path.endswith("__init__.py")]

HTTP_ROOMS = ["main.py", "deps.py", "errors.py", "problems.py", "telemetry.py", "routers/*"]
DATABASE_ROOMS = ["db.py", "tables/*", "queue.py", "sql/*", "services/*", "worker.py", "embedded*", "face/*"]
TERMINAL_ROOMS = ["cli/*", "demo.py"]
ROOMS = {
    "fastapi": HTTP_ROOMS,
    "starlette": HTTP_ROOMS,
    "sqlalchemy": DATABASE_ROOMS,
    "asyncpg": DATABASE_ROOMS,
    "mlflow": ["registry.py"],
    "optuna": ["ml/search.py"],
    "pgqueuer": ["queue.py"],
    "typer": TERMINAL_ROOMS,
    "rich": TERMINAL_ROOMS,
}
LAYERS = {
    "app/stats/*": ["app.stats"],
    "app/ml/*": ["app.ml", "app.stats", "app.schemas.config"],
    "app/simulator/*": ["app.simulator", "app.stats"],
}
MAX_LINES = 400


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


@cache
def _imports(path: str) -> tuple[str, ...]:
    """Every imported module, of functions' bodies too; `from app.ml import frame` counts as `app.ml.frame`."""
    return tuple(_find_imports(path))


def _find_imports(path: str) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides the room it leads to"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", ROOMS)
def test_a_package_is_imported_only_in_its_rooms(package: str) -> None:
    rooms = [f"app/{room}" for room in ROOMS[package]]
    strangers = {
        path
        for path in APP + DOOR
        if any(_below(module, package) for module in _imports(path)) and not any(fnmatch(path, room) for room in rooms)
    }
    assert not strangers, f"{package} belongs in {rooms}"


@pytest.mark.parametrize("layer", LAYERS)
def test_mathematics_knows_nothing_of_the_service(layer: str) -> None:
    wrong = {
        f"{path}: {module}"
        for path in APP
        if fnmatch(path, layer)
        for module in _imports(path)
        if _below(module, "app") and not any(_below(module, allowed) for allowed in LAYERS[layer])
    }
    assert not wrong


def test_services_and_schemas_do_not_know_the_rooms_above_them() -> None:
    above = ("app.routers", "app.main", "app.deps", "app.problems", "app.cli", "app.demo")
    wrong = {
        f"{path}: {module}"
        for path in APP
        if path.startswith(("app/services/", "app/schemas/"))
        for module in _imports(path)
        if any(_below(module, room) for room in above)
    }
    assert not wrong


def test_only_the_settings_read_the_environment() -> None:
    """What a child process is given may be written; what we decide by is read in one place."""
    allowed = {"app/settings.py"}
    wrong = {
        f"{path}: {ast.unparse(node)}"
        for path in APP
        if path not in allowed
        for node in ast.walk(_tree(path))
        if _reads_environment(node)
    }
    assert not wrong


def _reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in {"os.getenv", "os.environ.get"}
    return (
        isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) == "os.environ"
    )


@pytest.mark.parametrize("path", APP + DOOR + TESTS)
def test_a_module_is_short(path: str) -> None:
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path} has {lines} lines; split it by meaning"


@pytest.mark.parametrize("path", [path for path in APP + DOOR if (ROOT / path).stat().st_size])
def test_a_module_says_in_a_sentence_what_it_is(path: str) -> None:
    assert ast.get_docstring(_tree(path))


ENDPOINTS = {
    f"{path}:{node.name}": node
    for path in ROUTERS
    for node in _tree(path).body
    if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.decorator_list
}
WITHOUT_SERVICE = {"get_health", "get_metrics"}  # liveness and metrics touch nothing


def _service_calls(endpoint: ast.AST) -> list[str]:
    """Calls of the form `services.<domain>.<verb>(...)`."""
    names = [ast.unparse(node.func) for node in ast.walk(endpoint) if isinstance(node, ast.Call)]
    return [name for name in names if name.startswith("services.") and name.count(".") == 2]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_makes_one_service_call(name: str) -> None:
    endpoint = ENDPOINTS[name]
    expected = 0 if endpoint.name in WITHOUT_SERVICE else 1
    assert len(_service_calls(endpoint)) == expected
    decides = [type(node).__name__ for node in ast.walk(endpoint) if isinstance(node, ast.If | ast.Try | ast.For)]
    assert not decides, "a router parses and calls; deciding is the service's work"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_has_a_name_and_a_sentence(name: str) -> None:
    endpoint = ENDPOINTS[name]
    assert ast.get_docstring(endpoint), "the sentence becomes the text of the docs console"
    decorator = endpoint.decorator_list[0]
    assert isinstance(decorator, ast.Call)
    [operation] = [ast.literal_eval(word.value) for word in decorator.keywords if word.arg == "operation_id"]
    assert operation == endpoint.name
    assert "_" in operation, "verb_noun"


def test_no_file_of_the_repository_is_large() -> None:
    tracked = [path for path in ROOT.rglob("*") if path.is_file() and not _generated(path.relative_to(ROOT))]
    large = {path.relative_to(ROOT).as_posix() for path in tracked if path.stat().st_size > 1_000_000}
    assert not large


def _generated(path: Path) -> bool:
    return any(part.startswith(".") or part in {"dist", "build", "__pycache__"} for part in path.parts)
