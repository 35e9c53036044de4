"""Django's SQLite, whose writers take turns (turns.py). Readers wait for nobody, as ever.

A turn is taken before a transaction begins, or one statement that writes outside of any, and given
when the connection is in no transaction any more.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.backends.sqlite3 import base

from riskplatform.fair_sqlite3.turns import Turns, turns_at

PATIENCE = 10.0
"""Seconds to wait for a turn; then SQLite is asked all the same, which has its own patience."""
WRITING = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "REPLACE")


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that knows which statements write."""

    def __init__(self, connection: Any, *, wrapper: "DatabaseWrapper") -> None:
        super().__init__(connection)
        self._wrapper = wrapper

    def execute(self, query: str, params: Any = None) -> Any:
        run = partial(super().execute, query, params)
        return self._wrapper.in_turn(run) if query.lstrip().startswith(WRITING) else run()

    def executemany(self, query: str, param_list: Any) -> Any:
        run = partial(super().executemany, query, param_list)
        return self._wrapper.in_turn(run) if query.lstrip().startswith(WRITING) else run()


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection and the turn that it holds."""

    _held: Turns | None = None

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=partial(Cursor, wrapper=self))

    def in_turn(self, run: Callable[[], Any]) -> Any:
        """Run a statement that writes, in a turn of this connection's."""
        if not (self.connection.in_transaction or self.is_in_memory_db()):
            turns = turns_at(f"{self.settings_dict['NAME']}-turn")
            if turns.take(PATIENCE):
                self._held = turns
        try:
            return run()
        finally:
            self._give()

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            self._give()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._give()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give(closed=True)

    def _give(self, *, closed: bool = False) -> None:
        """End the turn, unless a transaction goes on."""
        goes_on = not closed and self.connection is not None and self.connection.in_transaction
        if self._held is not None and not goes_on:
            held, self._held = self._held, None
            held.give()
