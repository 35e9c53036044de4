"""What pages and answers tell of screening: where an event was found, and what it was held to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from accounts import vault
from scoring.core.countries import country_code
from scoring.models import Prediction
from scoring.policy_models import PolicySnapshot
from scoring.standing_in import NOT_SCREENED

COMPLETE, PARTIAL, NONE = "complete", "partial", "none"

LIST_WORDS = {
    "ofac_sdn": "OFAC SDN",
    "un": "UN Security Council",
    "embargoed": "Embargoed country",
    "high_risk": "High-risk country",
    "": "Sanctions lists",  # All of them, where none could be read.
}


def list_words(name: str) -> str:
    """What an analyst calls the list."""
    return LIST_WORDS.get(name, name)


def _programs(detail: Mapping[str, Any]) -> list[str]:
    return [text for text in str(detail.get("programs") or "").split("] [") if text]


def screening_hits(prediction: Prediction) -> list[dict[str, Any]]:
    """Names and countries that stand on a list, as stored, with the list's name in words, and the
    programs that the party is listed under as texts: OFAC writes several as `SDGT] [CAR`."""
    return [
        hit
        | {
            "list": list_words(hit["list_name"]),
            "programs": _programs(hit.get("detail") or {}),
        }
        for hit in prediction.screening_hits
    ]


@dataclass(frozen=True, slots=True)
class Screening:
    """By which readings of which lists a prediction was screened, in words; `missing`: lists that
    its policy declares and none had been taken in of."""

    lists: Sequence[tuple[str, str]]
    missing: Sequence[str]


def screening_of(prediction: Prediction) -> Screening:
    """The policy that decided it names the readings. It is asked for once a process."""
    held = _known_of(prediction.policy_digest)
    return Screening(
        lists=[(list_words(name), digest) for name, digest in held.lists],
        missing=[list_words(name) for name in held.missing],
    )


def screening_answer(prediction: Prediction) -> dict[str, Any]:
    """Against how many of its declared lists a name was screened, for API clients. JSON-able.

    `complete`: all of them; `partial`: not those of `missing_lists`; `none`: no list was asked.
    `unknown_country`: it said a country that is none, which no list of countries holds.
    A policy is asked for once a process: its digest names its content.
    """
    held = _known_of(prediction.policy_digest)
    lists, missing = held.lists, held.missing
    if any(hit["kind"] == NOT_SCREENED.kind for hit in prediction.screening_hits):
        missing = tuple(name for name, _ in lists) + missing
        lists = ()
    status = (PARTIAL if missing else COMPLETE) if lists else NONE
    said = prediction.event.get(held.country_field)
    return {
        "status": status,
        "missing_lists": list(missing),
        "unknown_country": isinstance(said, str) and _is_no_country(said),
    }


def _is_no_country(said: str) -> bool:
    return bool(said.strip()) and not vault.is_encrypted(said) and not country_code(said)


class _HeldTo(NamedTuple):
    """What a policy screens by: lists of names with their readings, those it lacks, and the field
    of the event's country; empty where it screens none."""

    lists: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    country_field: str = ""


def _held_to(content: Mapping[str, Any]) -> _HeldTo:
    screening = content.get("screening")
    if not screening:
        return _HeldTo()
    held: dict[str, str] = content["watchlists"]
    names: Sequence[str] = screening["lists"] if screening["name_field"] else ()
    return _HeldTo(
        tuple((name, held[name]) for name in names if name in held),
        tuple(name for name in names if name not in held),
        screening["country_field"],
    )


def _known_of(digest: str) -> _HeldTo:
    if not digest:  # Decided by no policy: nothing to ask for, again for every event.
        return _HeldTo()
    try:
        return _asked_once(digest)
    except PolicySnapshot.DoesNotExist:
        return _HeldTo()


@lru_cache(maxsize=256)
def _asked_once(digest: str) -> _HeldTo:
    return _held_to(PolicySnapshot.objects.only("content").get(pk=digest).content)
