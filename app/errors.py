"""Expected failures: one class each, with HTTP status, code, sentence and hint; everything else is a bug."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one part of a request; `pointer` is an RFC 6901 JSON pointer into it."""

    pointer: str
    detail: str


class HoldfastError(Exception):
    """A failure that a caller can mend; rendered once as problem+json, or as a sentence by the CLI."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    title: ClassVar[str] = "Bad request"
    hint: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = MappingProxyType({})  # of the answer over HTTP

    def __init__(
        self, detail: str, *, hint: str | None = None, errors: Sequence[FieldError] = (), **facts: Any
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advice = self.hint if hint is None else hint
        self.errors = tuple(errors)
        self.facts = facts

    def to_problem(self) -> dict[str, Any]:
        """The members of RFC 9457 this failure knows; the request id is added at the boundary."""
        problem: dict[str, Any] = {
            "type": f"urn:holdfast:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "hint": self.advice,
            "errors": [{"pointer": e.pointer, "detail": e.detail} for e in self.errors],
        }
        return problem | self.facts


class InvalidRequest(HoldfastError):
    """The request is well-formed but says something that can't be."""

    status, code, title = 422, "invalid_request", "The request can't be carried out as it stands"
    hint = "Mend the fields named in `errors` and send the request again."


class NotAuthenticated(HoldfastError):
    """Only the operator may do this, and the request does not say who sends it."""

    status, code, title = 401, "not_authenticated", "This takes the operator's token"
    hint = "Send the header `Authorization: Bearer ...` with the token of HOLDFAST_ADMIN_TOKEN."
    headers: ClassVar[Mapping[str, str]] = MappingProxyType({"WWW-Authenticate": "Bearer"})


class NotAllowed(HoldfastError):
    """Only the operator may do this, and the caller is not shown to be one."""

    status, code, title = 403, "not_allowed", "Only the operator may do this"


class NotFound(HoldfastError):
    """The thing named does not exist."""

    status, code, title = 404, "not_found", "Not found"
    hint = "Check the name or number; the list endpoints show what there is."


class Conflict(HoldfastError):
    """The request is right, but the state of things is against it."""

    status, code, title = 409, "conflict", "In conflict with the present state"


class ConfigurationError(HoldfastError):
    """The service itself is set up in a way that can't work."""

    status, code, title = 500, "configuration", "The service is not set up rightly"


class NothingRegistered(HoldfastError):
    """A dataset has no version yet."""

    status, code, title = 404, "nothing_registered", "Nothing is registered yet"
    hint = 'Train with POST /train {"register": true}, or register a finished training with POST /models.'


class NothingInProduction(HoldfastError):
    """A dataset has no champion."""

    status, code, title = 404, "nothing_in_production", "Nothing is in production yet"
    hint = "Evaluate a version with POST /models/{version}/evaluate, then POST /models/{version}/promote."


class NothingInStaging(HoldfastError):
    """A dataset has no challenger."""

    status, code, title = 404, "nothing_in_staging", "Nothing is in staging"
    hint = 'Put a version there with POST /models/{version}/promote {"stage": "Staging"}.'


class StaleHead(HoldfastError):
    """The ledger has moved on since the caller looked."""

    status, code, title = 412, "stale_head", "The ledger has moved on"
    hint = "Read GET /promotions/head again, look at what was promoted, and send its ETag as If-Match."


class StalePolicy(HoldfastError):
    """The gate's policy has changed since the caller looked."""

    status, code, title = 412, "stale_policy", "The policy has changed"
    hint = "Read GET /gate/policy again, look at what was changed, and send its ETag as If-Match."


class NotEvaluated(HoldfastError):
    """Production needs a verdict of the gate, and there is none that counts."""

    status, code, title = 409, "not_evaluated", "The gate has not judged this version"


class StaleEvaluation(HoldfastError):
    """The newest verdict was given in a state of things that is past."""

    status, code, title = 409, "stale_evaluation", "The newest evaluation no longer holds"


class GateNotPassed(HoldfastError):
    """The gate does not recommend the version."""

    status, code, title = 409, "gate_not_passed", "The gate does not recommend this version"
    hint = "Mend what failed and train again, or send force with a reason; a forced promotion is marked in the ledger."


class BundleRefused(HoldfastError):
    """The bytes of a bundle are not what they should be."""

    status, code, title = 500, "bundle_refused", "A bundle does not match its version"
    hint = (
        "Restore the row of `bundles` from a back-up, or roll back to another version with POST /promotions/rollback."
    )


class DatabaseUnreachable(HoldfastError):
    """The database is away, or too busy to answer in time."""

    status, code, title = 503, "database_unreachable", "The database can't be reached"
    hint = "Try again in a few seconds."


class MlflowUnavailable(HoldfastError):
    """MLflow is not installed, or its store does not work."""

    status, code, title = 503, "mlflow_unavailable", "MLflow can't be used"
    hint = "Install what the lock names (`make install`), then send the request again."


class ShapFailed(HoldfastError):
    """The explanations of a training could not be computed."""

    status, code, title = 500, "shap_failed", "SHAP values could not be computed"
    hint = 'Train without explanations: `--no-shap` on the command line, `"training": {"shap": false}` over HTTP.'


class NoActiveAccounts(HoldfastError):
    """A dataset has nobody to score."""

    status, code, title = 409, "no_active_accounts", "No account is active"
    hint = "Upload newer rows to /datasets/{name}/rows: accounts whose newest row is labelled churned are not scored."


class LeaksFound(HoldfastError):
    """A feature knows the outcome; training stops before it learns from it."""

    status, code, title = 409, "leaks_found", "A feature knows the outcome"
    hint = (
        "Leave the feature out (`training.exclude_features`), mend its source, or, where it is honest, accept the "
        "finding by name (`training.accept_leaks`)."
    )


class TooMuchToLookAt(HoldfastError):
    """A dataset is larger than what is searched for leaks while a caller waits."""

    status, code, title = 409, "too_much_to_look_at", "The rows are too many to look for leaks now"
    hint = "POST /train looks for leaks as one of its steps, in a worker; afterwards they are told here."


class RowsDoNotFit(HoldfastError):
    """A revision lacks what a version reads, or holds it in another kind."""

    status, code, title = 409, "rows_do_not_fit", "The rows do not fit the version"
    hint = "GET /score/schema says what the version reads; upload rows that have it, or train on the new columns."


class NothingScored(HoldfastError):
    """There is no published scoring run to look at."""

    status, code, title = 409, "nothing_scored", "Nothing has been scored yet"
    hint = "Score all active accounts with POST /score/batches first."


class NothingChecked(HoldfastError):
    """The monitor has not run yet."""

    status, code, title = 404, "nothing_checked", "The monitor has not run yet"
    hint = "Run a check with POST /monitor."


class JobEnded(HoldfastError):
    """There is nothing left to cancel."""

    status, code, title = 409, "job_ended", "The job has ended"
    hint = "GET /jobs/{id} shows its result or problem."


class AttemptsExhausted(HoldfastError):
    """A job was begun as often as it may be, and its process or worker was lost each time."""

    status, code, title = 500, "attempts_exhausted", "The job was lost too often"
    hint = "The log of the workers tells how; often the memory did not suffice. Mend that and ask for the job again."


class UnexpectedFailure(HoldfastError):
    """A bug, as far as callers are told of it; the log has the rest."""

    status, code, title = 500, "internal_error", "Unexpected failure"
    hint = "Tell the operator the request_id or the number of the job; the log has the rest."


class UnreadableFile(HoldfastError):
    """An uploaded file can't be understood; nothing of it is stored."""

    status, code, title = 422, "unreadable_file", "The file can't be understood"
    hint = "Mend the place named and send the whole file again; nothing was stored."


class BodyTooLarge(HoldfastError):
    """A request body other than an upload is above the limit."""

    status, code, title = 413, "body_too_large", "The body is too large"
    hint = "Send less at once; uploads of rows go to /datasets/{name}/rows."


class UploadTooLarge(HoldfastError):
    """An upload is above the limit."""

    status, code, title = 413, "upload_too_large", "The file is too large"
    hint = "Send Parquet, send less at once with POST (it appends), or raise HOLDFAST_MAX_UPLOAD_BYTES."


class UnsupportedMedia(HoldfastError):
    """An upload is announced as something that rows don't come in."""

    status, code, title = 415, "unsupported_media", "Rows come as CSV or Parquet"
    hint = "Send the file itself as the body: curl -X PUT -H 'Content-Type: text/csv' --data-binary @rows.csv URL"


class DatasetExists(HoldfastError):
    """The name is taken."""

    status, code, title = 409, "dataset_exists", "There is such a dataset already"
    hint = "Upload rows to it, or choose another name; GET /datasets lists what there is."


class DatasetInUse(HoldfastError):
    """Something refers to the dataset, so it has to stay as it was described."""

    status, code, title = 409, "dataset_in_use", "The dataset is in use"
    hint = "Describe another dataset under another name: what rows were read as never changes under a version."


class NoRows(HoldfastError):
    """A dataset has no rows yet."""

    status, code, title = 409, "no_rows", "The dataset has no rows yet"
    hint = "Upload them with PUT /datasets/{name}/rows."


class RowsComeFromTable(HoldfastError):
    """Rows were sent to a dataset that reads a table of the database."""

    status, code, title = 409, "rows_come_from_table", "The rows of this dataset come from a table"
    hint = "Change the table; the next training or scoring copies it. Or make another dataset without source_table."


class RowsAreBuilt(HoldfastError):
    """Rows were sent to a dataset whose rows are built of facts."""

    status, code, title = 409, "rows_are_built", "The rows of this dataset are built of facts"
    hint = "Send the facts: PUT or POST /datasets/{name}/facts/events, and accounts, and subscriptions."


class RowsComeFromQuery(HoldfastError):
    """Rows were sent to a dataset whose rows are what its queries say."""

    status, code, title = 409, "rows_come_from_query", "The rows of this dataset come from queries"
    hint = "The next training or scoring runs its queries anew; to send rows, make a dataset of kind snapshots."


class SourceUnreachable(HoldfastError):
    """A warehouse is away, or does not answer in time."""

    status, code, title = 422, "source_unreachable", "The source can't be reached"
    hint = "Check that the host of source_url answers from where the service runs, then try again."


class SourceRefused(HoldfastError):
    """A warehouse does not let us in, or would let us do too much."""

    status, code, title = 422, "source_refused", "The source can't be read like this"
    hint = "Check user and database of source_url, and the variable named by password_env."


class QueryRefused(HoldfastError):
    """A query can't be run, or does not say what features and labels must."""

    status, code, title = 422, "query_refused", "The query can't be used"
    hint = "Mend the query: a row per account, none twice, each with its id. Nothing was stored."


class QueryChanged(HoldfastError):
    """What a query returns has other columns than what was trained on."""

    status, code, title = 409, "query_changed", "The query returns other columns than before"
    hint = "Train anew with POST /train, or give the source its columns back."


class FactsComeFromTable(HoldfastError):
    """Facts were sent to a dataset that reads a table of the database."""

    status, code, title = 409, "facts_come_from_table", "These facts come from a table"
    hint = "Change the table; the next training or scoring copies it. Or make another dataset without source_table."


class NoTrainingRows(HoldfastError):
    """A revision has no row to learn from."""

    status, code, title = 409, "no_training_rows", "There is nothing to train on"
