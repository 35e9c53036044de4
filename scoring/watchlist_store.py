"""Compiled screeners of the lists in the database, one index a set of list digests.

An index takes about a second and some tens of megabytes, so a process builds it once, when the
first event needs it, and keeps the last few; the lock makes the second caller wait for the first.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime

from scoring.core.name_index import NameIndex
from scoring.core.screening import ListScreener, Screener
from scoring.core.spec import ScreeningSpec
from scoring.core.watchlist import ListedEntry, WatchlistError, unpack
from scoring.memory import give_back
from scoring.policy_models import Watchlist

# The one in force, and one more while the policy changes or an old decision is checked.
MOST_INDEXES = 2
_indexes: OrderedDict[tuple[tuple[str, str], ...], NameIndex] = OrderedDict()
_building = threading.Lock()


def screener(config: ScreeningSpec, watchlists: Mapping[str, str]) -> Screener:
    """A screener for the readings `watchlists` (list name -> digest), old ones included.

    A list of the declaration that has not been synchronised yet is not in `watchlists` and is not
    screened. Raises WatchlistError when a reading is gone or damaged.
    """
    wanted = {name: watchlists[name] for name in config.lists if name in watchlists}
    return ListScreener(config, name_index(wanted))


def name_index(watchlists: Mapping[str, str]) -> NameIndex:
    """The index of these readings, from this process's memory or from the database."""
    key = tuple(sorted(watchlists.items()))
    index = _indexes.get(key)
    if index is None:
        with _building:
            index = _indexes.get(key)
            if index is None:
                # One after another: what a list was read into is gone when the index is made.
                index = NameIndex((name, digest, _read(digest)) for name, digest in key)
                while len(_indexes) >= MOST_INDEXES:
                    _indexes.popitem(last=False)
                _indexes[key] = index
                give_back()
    return index


def _read(digest: str) -> list[ListedEntry]:
    content = Watchlist.objects.filter(digest=digest).values_list("content", flat=True).first()
    if content is None:
        raise WatchlistError(f"The list {digest[:12]} is not in the database.")
    return unpack(digest, bytes(content))


def active_watchlists() -> dict[str, str]:
    """List name -> digest of the reading in force."""
    return dict(Watchlist.objects.filter(active=True).values_list("name", "digest"))


def synchronised_at() -> dict[str, datetime]:
    """List name -> when its reading in force was synchronised last."""
    return dict(Watchlist.objects.filter(active=True).values_list("name", "synced_at"))


def forget_indexes() -> None:
    """Give the memory back; the next event builds anew."""
    _indexes.clear()
