"""Named queries that are longer than six lines: one file each, with a comment that says what a row is."""

from functools import cache
from importlib.resources import files


@cache
def read_query(name: str) -> str:
    """The text of `<name>.sql`."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
