"""The OS user that runs PostgreSQL: ourselves, or, as PostgreSQL refuses root, a system user."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError

SYSTEM_USERS = ("postgres", "holdfast")
HINT = "Start the service as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
# No PG* or LD_* variable of ours may reach the server; C keeps its messages in one language.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Account:
    """An OS user."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        """Whether this process runs as that user."""
        return self.uid == os.geteuid()

    def run(
        self, command: Sequence[str | Path], *, stderr: int = subprocess.PIPE, keep: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as that user, in a session of its own (our Ctrl-C is not for it); `keep`: open descriptors."""
        return subprocess.run(  # noqa: S603 - our own binaries, no shell, no input from outside
            command,
            user=None if self.is_us else self.uid,
            group=None if self.is_us else self.gid,
            extra_groups=None if self.is_us else [],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=keep,
            start_new_session=True,
            text=True,
            errors="replace",
            check=False,
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether that user can reach what is in the folder, asked of the kernel itself (it knows ACLs)."""
        return self.run(["/bin/sh", "-c", 'test -x "$0"', folder]).returncode == 0

    def can_run(self, binary: Path) -> bool:
        """Whether that user can load the binary with its libraries."""
        try:
            return self.run([binary, "--version"]).returncode == 0
        except OSError:
            return False


def account_of(uid: int) -> Account:
    """The user of that number."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError(f"User {uid} has no name here, which PostgreSQL needs.", hint=HINT) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def server_account() -> Account:
    """The user to run PostgreSQL as; where root finds none, a system user of ours is made."""
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    account = _find_system_user() or _make_system_user()
    try:
        account.run(["/bin/sh", "-c", ":"])
    except PermissionError as error:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root, and this root may not become user {account.name}.", hint=HINT
        ) from error
    return account


def _find_system_user() -> Account | None:
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return next((account_of(known[name]) for name in SYSTEM_USERS if name in known), None)


def _make_system_user() -> Account:
    name = SYSTEM_USERS[-1]
    useradd = shutil.which("useradd", path=ENVIRONMENT["PATH"])
    said = "there is no useradd"
    if useradd:
        command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        said = account_of(0).run(command).stderr.strip()
    account = _find_system_user()  # a process that started together with us may have been first
    if account is None:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root, and the system user {name!r} can't be made: {said}.", hint=HINT
        )
    return account
