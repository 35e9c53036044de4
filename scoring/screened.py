"""What a page shows of screening: the lists that an event stands on, by the words of an analyst."""

from typing import Any

from scoring.models import Prediction
from scoring.policy_models import PolicySnapshot

LIST_WORDS = {
    "ofac_sdn": "OFAC SDN",
    "un": "UN Security Council",
    "embargoed": "Embargoed country",
    "high_risk": "High-risk country",
}


def list_words(name: str) -> str:
    """What an analyst calls the list."""
    return LIST_WORDS.get(name, name)


def screening_hits(prediction: Prediction) -> list[dict[str, Any]]:
    """Names and countries that stand on a list, as stored, with the list's name in words."""
    return [hit | {"list": list_words(hit["list_name"])} for hit in prediction.screening_hits]


def unscreened_lists(prediction: Prediction) -> list[str]:
    """Declared lists, in words, that the prediction was not screened by: none had been taken in.

    The policy that decided it names the readings that it screened by: no note is needed.
    """
    row = PolicySnapshot.objects.filter(pk=prediction.policy_digest).only("content").first()
    content = row.content if row else {}
    screening = content.get("screening")
    if not screening or not screening["name_field"]:
        return []
    return [list_words(name) for name in screening["lists"] if name not in content["watchlists"]]
