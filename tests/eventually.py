"""Waiting in tests: on a condition and with a deadline, never for a fixed time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = threading.Event()


def eventually(condition: Callable[[], T], seconds: float = 10.0, pause: float = 0.02) -> T:
    """The first true value of `condition`; fails when there is none in time. Raised errors count as not yet true.

    `pause` seconds pass between two looks: more, where a look costs much.
    """
    deadline = time.monotonic() + seconds
    answer: T | None
    problem: Exception | None
    while True:
        try:
            answer, problem = condition(), None
            if answer:
                return answer
        except Exception as error:
            answer, problem = None, error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; the last answer was {answer!r}") from problem
        _PAUSE.wait(pause)
