"""How settings are compared: by measuring, within a limit of time."""
import contextlib
import signal
import time


class TooLong(BaseException):
    """Not an Exception: libraries go on after those."""


@contextlib.contextmanager
def at_most(seconds):
    """TooLong after so many seconds, at once if there are none."""
    def stop(*_):
        raise TooLong
    if seconds <= 0:
        stop()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def speed(once, seconds=1.0):
    """The best of what fits into so many seconds, after one that does not count."""
    once()
    best, end = 0.0, time.perf_counter() + seconds
    while True:
        best = max(best, once())
        if time.perf_counter() > end:
            return best
