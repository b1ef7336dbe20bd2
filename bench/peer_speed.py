"""How settings are compared: by measuring, within a limit of time."""
import contextlib
import signal
import time


class TooLong(Exception):
    pass


@contextlib.contextmanager
def at_most(seconds):
    """TooLong after so many seconds: a compiler that takes longer is not tried any further."""
    def stop(*_):
        raise TooLong
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def speed(once, seconds=1.0):
    """The best of what fits into so many seconds, after one that does not count."""
    once()
    best, end = 0.0, time.perf_counter() + seconds
    while True:
        best = max(best, once())
        if time.perf_counter() > end:
            return best
