"""Hearing of the process's end before the web server acts on it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def told_of_stop(tell: Callable[[], object]) -> Iterator[None]:
    """Within, `tell` is called in the event loop when a signal says stop; who handled it before still does.

    The server ends the lifespan once all its answers have ended, and streams would never do so by themselves.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signals here, as in a test's server
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler is signal.SIG_DFL:
            signal.signal(number, handler)
            signal.raise_signal(number)

    for number in STOP_SIGNALS:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
