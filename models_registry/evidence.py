"""What speaks for a promotion: the comparison of a version with what serves, in plain words."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from models_registry.core.comparison import backs_promotion, could_decide
from models_registry.models import ModelVersion
from models_registry.promotion_models import PromotionGuard
from models_registry.selectors import move_of
from models_registry.shadow_models import Shadow

AGAIN: Final = "An evaluation as of today compares them on events new to both."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a promotion. `kind`: first, live, offline or none.

    `text` says in plain words what was found; `against` what was found and does not suffice.
    """

    kind: str
    passed: bool
    text: str
    against: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def evidence_for(version: ModelVersion, champion: ModelVersion | None) -> Evidence:
    """Whether a comparison with what serves now backs the promotion.

    The live comparison has the last word where it has reached one; else the one on the test part
    of the training or on events since (`beside_champion`), if it was made with this very champion.
    """
    if PromotionGuard.objects.filter(version=version, state=PromotionGuard.State.BROKEN).exists():
        return Evidence("none", False, f"{version.label} was rolled back by its guard before.")
    if champion is None:
        return Evidence("first", True, "Rules alone serve: there is no champion to compare with.")
    shadow = Shadow.objects.filter(version=version).first()
    seen = {} if shadow is None else shadow.comparison
    lives = seen if seen.get("champion_digest") == champion.digest else {}
    if lives.get("verdict") == "better":
        return Evidence("live", True, f"On live traffic: {lives['reason']}")
    if lives.get("verdict") == "worse":
        return Evidence("live", False, f"On live traffic: {lives['reason']}")
    return _offline(version, champion, live=str(lives.get("reason", "")))


def _offline(version: ModelVersion, champion: ModelVersion, *, live: str) -> Evidence:
    found = version.comparison
    if move_of(version) is not None:
        text = (
            f"The thresholds of {version.label} were chosen on the very events that it is compared"
            " on; only live traffic can back them."
        )
        return Evidence("none", False, text, live)
    if not found:
        text = f"{version.label} was never compared with {champion.label}. {AGAIN}"
        return Evidence("none", False, text, live)
    if found.get("champion_digest") != champion.digest:
        text = f"{version.label} was compared with another champion than {champion.label}. {AGAIN}"
        return Evidence("none", False, text, live)
    verdict, cheaper = found["verdict"], found["cheaper"] if found.get("cost") else "undecided"
    if could_decide(found) and backs_promotion(verdict, cheaper):
        what = "ranks better" if verdict == "better" else "costs less"
        text = f"On {found['rows']:,} events new to it, {version.label} surely {what}."
        return Evidence("offline", True, text, live)
    word = "worse" if "worse" in (verdict, cheaper) else "not surely better"
    text = f"On {found['rows']:,} events new to it, {version.label} is {word}."
    if not could_decide(found):
        text = f"{text} {AGAIN}"
    return Evidence("none", False, text, live)
