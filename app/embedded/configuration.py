"""The configuration of the private PostgreSQL, written anew at each start."""

import os
from pathlib import Path

from app.embedded.account import account_of
from app.embedded.place import PORT, Place

MAP = "holdfast"
ROLES = ("holdfast", "postgres")


def write_configuration(place: Place) -> Path:
    """Write the three files beside the data, where the server can read but not change them; returns the first."""
    hba, ident, main = (place.folder / name for name in ("pg_hba.conf", "pg_ident.conf", "postgresql.conf"))
    _replace(hba, f"local all all peer map={MAP}\n")
    _replace(ident, "".join(f'{MAP} "{user}" {role}\n' for user in _users(place) for role in ROLES))
    _replace(main, _main(place, hba, ident))
    return main


def _users(place: Place) -> list[str]:
    """Who may connect: whoever runs the service or the server, and root, who could become either."""
    return sorted({place.account.name, account_of(os.geteuid()).name, account_of(0).name})


def _main(place: Place, hba: Path, ident: Path) -> str:
    settings = {
        "hba_file": hba,
        "ident_file": ident,
        "cluster_name": place.cluster_name,
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": f'"{place.sockets}"',
        "max_connections": 100,
        "shared_buffers": "128MB",
        "maintenance_work_mem": "256MB",  # to sort the events of millions of accounts into their index
        "fsync": "on",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_line_prefix": "%m [%p] ",
        # A failed statement would bring customers' rows into the log.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
    lines = [f"include {_quote(place.data / 'postgresql.conf')}  # what initdb found out about this machine"]
    lines += [f"{name} = {_quote(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _quote(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(os.fsencode(text))
    fresh.chmod(0o644)  # the server may be another user; there is no secret in it
    fresh.replace(path)
