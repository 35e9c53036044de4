"""Fit a learner in a thread of its own, so that somebody may stop waiting for it at any moment."""

import threading
from collections.abc import Callable
from typing import Final

from models_registry.core.learners.base import Learner, OnProgress, ShouldStop

LOOK_SECONDS: Final = 0.5
Check = Callable[[], None]
Fit = Callable[[OnProgress, ShouldStop], Learner]


def fit_watched(
    fit: Fit, *, name: str, on_progress: OnProgress, check: Check, every: float = LOOK_SECONDS
) -> Learner:
    """What `fit(on_progress, should_stop)` gives; `on_progress` and `check` are called from the
    caller's thread alone, `every` so many seconds. What `check` raises ends the wait at once.

    A learner that asks between its steps then stops too. One that is inside a single call of its
    library cannot be stopped: it goes on in its thread, and what it finds is thrown away.
    """
    stop = threading.Event()
    done: list[float] = [0.0]
    failed: list[BaseException] = []

    found: list[Learner] = []

    def work() -> None:
        try:
            found.append(fit(lambda part: done.__setitem__(0, part), stop.is_set))
        except BaseException as error:  # Raised again in the caller's thread.
            failed.append(error)

    thread = threading.Thread(target=work, name=f"fit-{name}", daemon=True)
    thread.start()
    try:
        working = True
        while working:
            thread.join(every)
            working = thread.is_alive()
            on_progress(done[0])
            check()
    except BaseException:
        stop.set()
        raise
    if failed:
        raise failed[0]
    return found[0]
