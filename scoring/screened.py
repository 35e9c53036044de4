"""What a page shows of screening: the lists that an event stands on, by the words of an analyst."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.models import Prediction
from scoring.policy_models import PolicySnapshot

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
    """The policy that decided it names the readings. One query."""
    row = PolicySnapshot.objects.filter(pk=prediction.policy_digest).only("content").first()
    content = row.content if row else {}
    screening = content.get("screening")
    if not screening or not screening["name_field"]:
        return Screening((), ())
    held: dict[str, str] = content["watchlists"]
    return Screening(
        lists=[(list_words(name), held[name]) for name in screening["lists"] if name in held],
        missing=[list_words(name) for name in screening["lists"] if name not in held],
    )
