"""Group commit: concurrent callers hand in work, one of them does it for all, all get answers.

Whoever comes while nobody works leads: it takes what is waiting, up to a limit, and runs it as one
group, in one transaction. Whoever comes meanwhile waits and is in the next group, which the first
of them leads. A caller returns only after its group is done.

Clients that wait for their answers fall into two camps that way: one writes while the other reads
its answers, and every group is half as large as it could be. So a leader waits for as many as the
last groups had, but no longer than GATHER seconds. A lone caller waits for nobody.
(PostgreSQL's commit_delay and commit_siblings do the same, one floor below.)
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Work = TypeVar("Work")
GATHER = 0.001


class _Waiting(Generic[Work]):
    """One caller: its work, how it is woken, and whether its work is done by then."""

    __slots__ = ("done", "error", "wake", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.done = False
        self.error: BaseException | None = None
        # A bare lock is the cheapest thing to sleep on; it is taken until somebody wakes us.
        self.wake = threading.Lock()
        self.wake.acquire()


class Grouping(Generic[Work]):
    """`submit(work)` returns when `run` has dealt with the group that held it.

    `run(works)` gets one to `most` works and keeps outcomes and failures in them; what it raises
    all the same is raised by every `submit` of the group.
    """

    def __init__(self, run: Callable[[list[Work]], None], *, most: int) -> None:
        self._run = run
        self._most = most
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting[Work]] = deque()
        self._led = False
        self._sizes = (1, 1)  # Of the last two groups.
        self._gathering: _Waiting[Work] | None = None

    def submit(self, work: Work) -> None:
        """Blocks until `work` is done, by this thread or by another one. Raises what `run` did."""
        own = _Waiting(work)
        with self._mutex:
            self._queue.append(own)
            leads, self._led = not self._led, True
            waits = self._gathering
            if waits is not None and len(self._queue) >= max(self._sizes):
                self._gathering = None
                waits.wake.release()
        if not leads:
            own.wake.acquire()
        if not own.done:
            self._lead(own)
        if own.error is not None:
            raise own.error

    def _lead(self, own: _Waiting[Work]) -> None:
        """Run what is waiting; `own` stands first in the queue. Then let the next one lead."""
        self._gather(own)
        with self._mutex:
            size = min(len(self._queue), self._most)
            group = [self._queue.popleft() for _ in range(size)]
            self._sizes = (self._sizes[1], size)
        error: BaseException | None = None
        try:
            self._run([member.work for member in group])
        except BaseException as raised:
            # Whatever it was, nobody may sleep on: they are told, and so is our caller.
            error = raised
        # The next group first, so that the database does not wait for our members' answers.
        with self._mutex:
            if self._queue:
                self._queue[0].wake.release()
            else:
                self._led = False
        for member in group:
            member.done, member.error = True, error
            if member is not own:
                member.wake.release()

    def _gather(self, own: _Waiting[Work]) -> None:
        """Wait a moment for those who are about to come."""
        with self._mutex:
            if len(self._queue) >= max(self._sizes):
                return
            self._gathering = own
        woken = own.wake.acquire(timeout=GATHER)
        if not woken:
            with self._mutex:
                self._gathering = None
