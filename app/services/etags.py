"""Entity tags: the number of the newest entry, so that a caller who looked at another one can be told."""


def etag(newest: int) -> str:
    """The tag of the newest entry's number; 0 where there is none."""
    return f'"{newest}"'


def is_newest(newest: int, if_match: str | None) -> bool:
    """Whether an If-Match (None: not sent) names the newest entry; `*` names any that is there."""
    if if_match is None:
        return True
    return etag(newest) in [tag.strip() for tag in if_match.split(",")] or (if_match.strip() == "*" and newest != 0)
