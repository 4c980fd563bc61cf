"""Who calls, where nobody has logged in."""

import os
import pwd


def actor() -> str:
    """Who is at the keyboard, for jobs and the ledger."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return f"uid {os.getuid()}"
