"""Where the private PostgreSQL keeps its data, sockets and locks, and the folders made for it."""

import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import Account, account_of, server_account
from app.errors import ConfigurationError

PORT = 5432  # only part of the socket's name: nothing listens on TCP
SYSTEM_FOLDER = Path("/var/lib/holdfast")
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - the same for every process, and short; see _check_owner
MAX_SOCKET_BYTES = 103  # sun_path has 104 bytes on macOS and 108 on Linux, the closing NUL included
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")  # others (spaces, commas, colons) mean something to some driver

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """One private PostgreSQL: its folder, and the user that runs it.

    Only `data` and `sockets` belong to that user; what root writes is never in a folder that another one controls.
    """

    folder: Path
    account: Account
    notice: str | None = None

    @property
    def data(self) -> Path:
        """What PostgreSQL calls its data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "postgres.log"

    @property
    def cluster_name(self) -> str:
        """Shown in the title of each of its processes."""
        return f"holdfast-{_hash(self.folder)}"

    @property
    def start_lock(self) -> Path:
        """Held while a server is started, joined or stopped."""
        return self.folder / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by all users."""
        return self.folder / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by every process of the server, which inherit it."""
        return self.folder / "server.lock"

    @property
    def sockets(self) -> Path:
        """The folder of the socket; a short one elsewhere when its path would be too long or too odd."""
        folder = self.folder / "run"
        n_bytes = len(os.fsencode(folder / f".s.PGSQL.{PORT}"))
        if n_bytes <= MAX_SOCKET_BYTES and PLAIN_PATH.fullmatch(str(folder)):
            return folder
        return SHORT_FOLDER / self.cluster_name

    @property
    def socket(self) -> Path:
        """The socket, by the name PostgreSQL gives it."""
        return self.sockets / f".s.PGSQL.{PORT}"


def find_place(home: Path) -> Place:
    """The place that belongs to `home`, the same for every process; its folders are made if need be.

    Below `home`, or, where the user that runs PostgreSQL can't enter that, in /var/lib/holdfast.
    """
    home = home.expanduser().resolve()
    place = _find_existing(home) or _choose(home)
    if place.notice:
        logger.warning(place.notice)
    make_folder(place.sockets, mode=0o700, owner=place.account)
    _check_owner(place.folder, account_of(os.geteuid()))
    _check_owner(place.sockets, place.account)
    return place


def _find_existing(home: Path) -> Place | None:
    """Data decide where they stay, and who runs them, whatever has changed since they were made."""
    for folder, notice in ((home / "postgres", None), (_system_folder(home), _notice(home))):
        if (folder / "data").is_dir():
            return Place(folder, account_of((folder / "data").stat().st_uid), notice)
    return None


def _choose(home: Path) -> Place:
    account = server_account()
    mode = 0o700 if account.is_us else 0o711  # another user must be able to pass
    home.parent.mkdir(parents=True, exist_ok=True)
    make_folder(home, mode=mode)
    if account.can_enter(home):
        place = Place(home / "postgres", account)
    else:
        make_folder(SYSTEM_FOLDER, mode=mode)
        place = Place(_system_folder(home), account, _notice(home))
    make_folder(place.folder, mode=mode)
    return place


def _system_folder(home: Path) -> Path:
    return SYSTEM_FOLDER / _hash(home)


def _notice(home: Path) -> str:
    return f"PostgreSQL runs as a user that can't enter {home}; its data are in {_system_folder(home)} instead."


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def make_folder(folder: Path, *, mode: int, owner: Account | None = None) -> None:
    """Make a folder if there is none; it appears at once with its mode and owner, and an old one is left as it is."""
    if folder.is_dir():
        return
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        fresh.chmod(mode)
        if owner and not owner.is_us:
            os.chown(fresh, owner.uid, owner.gid)
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh)
        if not folder.is_dir():  # else another process was first
            raise


def _check_owner(folder: Path, owner: Account) -> None:
    """A folder that somebody else could have prepared is not trusted."""
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != owner.uid or state.st_mode & 0o022:
        raise ConfigurationError(
            f"{folder} should be a folder of user {owner.name} that nobody else can write to.",
            hint="Start the service as the user that made it, or set HOLDFAST_HOME to another folder.",
        )
