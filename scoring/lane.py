"""One thread that answers many requests at once, each a greenlet.

A request that hands in its events for scoring steps aside, and the next one begins; when all that
are there wait, their events are scored and stored as one group, and every request goes on to its
answer. Nobody sleeps on a lock and nobody fights for the interpreter: where waking a thread costs
as much as scoring an event, that doubles what a process can do (docs/adr/0014).

What else blocks here (a look at a key, a rate limit) blocks all, so only quick requests belong
here: one event, not a batch, not a page.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from greenlet import getcurrent, greenlet

from scoring.calls import Call

logger = logging.getLogger(__name__)
GATHER = 0.001
"""Seconds to wait for as many requests as the last groups had, when fewer are there."""

_by_thread = threading.local()


def current() -> "Lane | None":
    """The lane whose request the caller is answering; None in any other thread."""
    found: Lane | None = getattr(_by_thread, "lane", None)
    return found


@dataclass(slots=True)
class Job:
    """One request: `answer` makes its response, which `deliver` takes to the client."""

    answer: Callable[[], Any]
    deliver: Callable[[Any], None]


class Lane:
    """Runs jobs on a thread of its own, from the first `enter` to `stop`.

    `score(calls)` scores and stores one to `most` calls together and keeps outcomes and errors in
    them; `hand_over(ready)` gets each group's jobs with their answers, or what they raised.
    `prepare` is called before the requests of a group begin.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Call]], None],
        *,
        most: int,
        hand_over: Callable[[list[tuple[Job, Any]]], object],
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._score = score
        self._most = most
        self._hand_over = hand_over
        self._prepare = prepare
        self._entered: deque[Job] = deque()
        self._something = threading.Semaphore(0)
        self._sizes = (1, 1)  # Of the last two groups.
        self._thread: threading.Thread | None = None
        self._stopping = False

    def enter(self, jobs: Sequence[Job]) -> None:
        """Called from one thread (the event loop's); returns at once."""
        self._entered.extend(jobs)
        self._something.release()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let what has entered be answered, then end the thread."""
        self._stopping = True
        self._something.release()
        if self._thread is not None:
            self._thread.join()

    def wait_for(self, call: Call) -> None:
        """Step aside until `call` is scored or has its error; called by a request of this lane."""
        hub = getcurrent().parent
        if hub is None:
            raise RuntimeError("Only a request of the lane can step aside.")
        hub.switch(call)

    def _run(self) -> None:
        _by_thread.lane = self
        while True:
            self._something.acquire()
            if self._entered:
                self._answer_all()
            elif self._stopping:
                return

    def _answer_all(self) -> None:
        """Begin all requests that are there, score what they hand in, and finish them."""
        self._prepare()
        ready: list[tuple[Job, Any]] = []
        waiting: list[tuple[Job, greenlet, Call]] = []
        begun = 0
        while begun < self._most:
            if not self._entered and not self._gathers(begun):
                break
            while self._entered and begun < self._most:
                job = self._entered.popleft()
                begun += 1
                self._advance(job, greenlet(self._guarded), job, ready, waiting)
        if self._entered:
            self._something.release()  # The rest are the next group.
        self._sizes = (self._sizes[1], begun)
        while waiting:
            group, waiting = waiting, []
            self._score([call for _, _, call in group])
            for job, paused, _ in group:
                self._advance(job, paused, None, ready, waiting)
        self._hand_over(ready)

    def _gathers(self, begun: int) -> bool:
        """Whether more requests came, within GATHER, when the last groups had more than this."""
        if begun >= max(self._sizes) or self._stopping:
            return False
        if not self._something.acquire(timeout=GATHER):
            return False
        if not self._entered:
            self._something.release()  # It was the word to stop, which `_run` is to hear.
        return bool(self._entered)

    @staticmethod
    def _guarded(job: Job) -> Any:
        try:
            return job.answer()
        except BaseException as error:  # The lane goes on; whoever waits is told.
            logger.exception("a request failed")
            return error

    @staticmethod
    def _advance(
        job: Job,
        request: greenlet,
        given: Any,
        ready: list[tuple[Job, Any]],
        waiting: list[tuple[Job, greenlet, Call]],
    ) -> None:
        """Let a request go on until it waits for a call or has its answer."""
        found = request.switch(given)
        if request.dead:
            ready.append((job, found))
        else:
            waiting.append((job, request, found))
