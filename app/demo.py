"""`holdfast demo`: a service of its own, driven through HTTP from an upload to the monitor's verdict, then stopped."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import httpx

from app.cli.reports import show_accounts, show_gate, show_monitor, show_run, show_split
from app.cli.serving import listen
from app.cli.terminal import JobProgress, coloured, make_console, say, say_next, share
from app.errors import ConfigurationError, HoldfastError
from app.simulator import Drift, SimulatorConfig
from app.simulator.description import describe
from app.simulator.writing import TABLES, write_files

Json = dict[str, Any]
DATASET = "saas"
ACCOUNT = "A0000017"  # a customer at the end, so it can be scored
END = datetime(2025, 7, 1, tzinfo=UTC)
BUSINESS = SimulatorConfig(
    n_accounts=8_000,
    seed=7,
    start=END - timedelta(days=547),
    end=END,
    drifts=(Drift("login", END - timedelta(days=45)),),  # newer than what is trained and judged on: the monitor sees it
)
START_SECONDS = 120
STOP_SECONDS = 20


def run_demo() -> None:
    """Tell the story; whatever happens, the service that was started for it ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the service ends with us
    began_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as name, _running_service() as service:
        folder = Path(name)
        write_files(BUSINESS, folder)  # meanwhile the service starts
        service.wait_until_ready()
        with httpx.Client(base_url=service.url, timeout=120, trust_env=False) as http:
            _tell(Api(http), folder)
    say(f"Done in {time.monotonic() - began_at:.0f} s; the service of this demo has stopped, its data stay.")
    say_next(
        "make serve                                the service on http://127.0.0.1:8000, with these data",
        "open http://127.0.0.1:8000/docs           every call, to try out",
        ".venv/bin/holdfast history                the versions there are",
        ".venv/bin/holdfast import accounts.csv --name mine --id-column id --label-column churned --positive-value yes",
        ".venv/bin/holdfast ui                     the training runs in MLflow",
    )


class Api:
    """The service, called as anybody would call it."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, *, content_type: str = "application/json", **arguments: Any) -> Any:
        """The answer's JSON.

        Raises
        ------
        HoldfastError
            with the problem's own sentence and hint, where the service refuses.

        """
        headers = {"X-Actor": "demo", "Content-Type": content_type}
        answer = self._http.request(method, path, headers=headers, **arguments)
        if answer.is_error:
            problem = answer.json()
            raise HoldfastError(f"{method} {path}: {problem['detail']}", hint=problem["hint"])
        return answer.json()

    def finish(self, path: str, body: Json) -> Json:
        """Ask for long work and wait for it, showing its steps; the job's result."""
        job = self.call("POST", path, json=body)
        with JobProgress(job["kind"]) as progress:
            while job["status"] in {"queued", "running"}:
                progress.show(job["step"], job["progress"])
                job = self.call("GET", f"/jobs/{job['id']}", params={"wait": 0.5})
            if job["status"] != "succeeded":
                problem = job["problem"] or {"detail": f"Job {job['id']} was {job['status']}.", "hint": ""}
                raise HoldfastError(problem["detail"], hint=problem["hint"])
        result: Json = job["result"]
        return result


def _tell(api: Api, folder: Path) -> None:
    _heading(f"1. Bring facts: {BUSINESS.n_accounts:,} accounts of an invented SaaS business over eighteen months")
    _create_dataset(api)
    for fact in TABLES:
        _upload(api, fact, folder / f"{fact}.parquet")
    version = _train(api)
    _judge_and_promote(api, version)
    _score(api)
    _monitor(api)
    _score_one(api)


def _heading(text: str) -> None:
    make_console().print(f"\n[bold]{text}[/]")


def _create_dataset(api: Api) -> None:
    names = [item["name"] for item in api.call("GET", "/datasets", params={"limit": 1000})["items"]]
    if DATASET not in names:
        api.call("POST", "/datasets", json=describe(BUSINESS, DATASET) | {"windows_days": [7, 30, 90]})


def _upload(api: Api, fact: str, path: Path) -> None:
    """Facts are added to those of before; in the next demo these very files are there already."""
    with path.open("rb") as rows:
        told = api.call(
            "POST", f"/datasets/{DATASET}/facts/{fact}", content_type="application/octet-stream", content=rows
        )
    there = ", which were there already" if told["already_there"] else ""
    say(f"Revision {told['revision']}: {told['n_rows']:,} {fact}{there}.")


def _train(api: Api) -> int:
    _heading("2. Train on what was known at each of some instants: XGBoost, and a logistic regression beside it")
    result = api.finish("/train", {"dataset": DATASET, "register": True})
    version: int = result["version"]
    show_split(result["split"])
    say(f"Registered as version {version}.")
    return version


def _judge_and_promote(api: Api, version: int) -> None:
    _heading("3. Evaluate: six checks, at instants later than anything the model has seen")
    evaluation = api.finish(f"/models/{version}/evaluate", {})
    show_gate(evaluation)
    _heading("4. Promote")
    promotion = api.call("POST", f"/models/{version}/promote", json={"stage": "Production", "reason": "demo"})
    before = f", in place of version {promotion['from_version']}" if promotion["from_version"] else ""
    say(f"Version {version} is in Production{before} (rule: {promotion['rule']}).")


def _score(api: Api) -> None:
    _heading("5. Score every active account as of now, where the facts end")
    run = api.finish("/score/batches", {"dataset": DATASET})
    show_run(run)
    accounts = api.call("GET", "/score/accounts", params={"dataset": DATASET, "limit": 10})
    show_accounts(accounts["items"], "The ten accounts most at risk")


def _monitor(api: Api) -> None:
    _heading("6. Monitor: do the accounts still look like those of the training?")
    show_monitor(api.finish("/monitor", {"dataset": DATASET, "save": True}))


def _score_one(api: Api) -> None:
    _heading(f"7. Score one account at once: {ACCOUNT}")
    answer = api.call("POST", "/score", json={"dataset": DATASET, "accounts": [{"account_id": ACCOUNT}]})
    [score] = answer["scores"]
    risk = f"{share(score['churn_probability'])}, tier {coloured(score['risk_tier'])}"
    make_console().print(f"Churn probability {risk}, by version {answer['version']}.")


@dataclass(frozen=True)
class _Service:
    """A service that was started for the demo."""

    process: subprocess.Popen[bytes]
    url: str
    log: IO[bytes]

    def wait_until_ready(self) -> None:
        """Return once it answers; where it does not, its log says why."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass  # still migrating
            time.sleep(0.1)
        raise ConfigurationError("The service did not start.", hint=_tail(self.log))


@contextmanager
def _running_service() -> Iterator[_Service]:
    """A service on the same store and a free port; it is asked to stop at the end, and made to if it does not."""
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        # A session of its own: Ctrl-C is ours to answer, or the service would be gone before we have asked it to stop.
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own
        try:
            url = f"http://127.0.0.1:{port}"
            say(f"Starting the service on {url} ...")
            yield _Service(process, url, log)
        finally:
            _stop(process)


def _tail(log: IO[bytes], n_lines: int = 15) -> str:
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-n_lines:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _wait_for_children(process.pid)


def _wait_for_children(group: int) -> None:
    """What the service had started ends by itself right after it; be here until then, so that nothing is left."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)  # asks only whether the group has a member
        except ProcessLookupError:
            return
        time.sleep(0.05)
