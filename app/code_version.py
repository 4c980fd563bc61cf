"""Which code this is: the version of the package, and the commit it was built from where that is known."""

import json
from importlib.metadata import PackageNotFoundError, distribution

PACKAGE = "holdfast"


def code_version(commit: str | None) -> dict[str, str | None]:
    """Version and commit; `commit` is what the operator says (HOLDFAST_COMMIT), else pip's note of the repository.

    Never where the code lies: of a package that was installed from a folder pip notes its path, which stays unread.
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:  # run from a checkout that was never installed
        return {"version": None, "commit": commit or None}
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    return {"version": package.version, "commit": commit or origin.get("vcs_info", {}).get("commit_id")}
