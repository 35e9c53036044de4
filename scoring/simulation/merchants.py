"""What can be bought and where: merchant types and the merchants of every city."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Columns, Floats, pick
from scoring.simulation.geography import CITIES


@dataclass(frozen=True, slots=True)
class MerchantType:
    """`median` and `spread` are of a lognormal amount in EUR; the rest are relative weights."""

    name: str
    mcc: str
    median: float
    spread: float
    in_city: float
    online: float


TYPES: Final = (
    MerchantType("grocery", "5411", 31.0, 0.65, 30, 2),
    MerchantType("restaurant", "5812", 28.0, 0.60, 18, 0),
    MerchantType("fast_food", "5814", 11.0, 0.45, 12, 5),
    MerchantType("fuel", "5541", 52.0, 0.40, 9, 0),
    MerchantType("pharmacy", "5912", 18.0, 0.60, 6, 1),
    MerchantType("clothing", "5651", 55.0, 0.70, 7, 12),
    MerchantType("electronics", "5732", 140.0, 0.95, 3, 9),
    MerchantType("department_store", "5311", 48.0, 0.80, 5, 14),
    MerchantType("furniture", "5712", 190.0, 0.90, 1.5, 3),
    MerchantType("hotel", "7011", 160.0, 0.60, 2, 4),
    MerchantType("airline", "4511", 240.0, 0.70, 0, 4),
    MerchantType("taxi", "4121", 17.0, 0.50, 4, 6),
    MerchantType("digital_goods", "5815", 9.0, 0.60, 0, 18),
    MerchantType("gaming", "5816", 14.0, 0.90, 0, 8),
    MerchantType("gambling", "7995", 40.0, 1.00, 0.2, 1.5),
    MerchantType("crypto", "6051", 180.0, 1.20, 0, 1.0),
    MerchantType("money_transfer", "4829", 150.0, 1.00, 0.6, 1.5),
    MerchantType("jewelry", "5944", 210.0, 1.00, 0.8, 0.8),
    MerchantType("utilities", "4900", 85.0, 0.50, 0, 5),
    MerchantType("healthcare", "8011", 60.0, 0.80, 2, 0),
    MerchantType("atm", "6011", 80.0, 0.60, 4, 0),
    MerchantType("bank_transfer", "6012", 420.0, 0.80, 0, 0),
)
TYPE_INDEX: Final = {kind.name: index for index, kind in enumerate(TYPES)}
LOG_MEDIAN: Final = np.log([kind.median for kind in TYPES])
SPREAD: Final = np.array([kind.spread for kind in TYPES])
ONLINE: Final = len(CITIES)  # the "city" of merchants without a counter
PAYEES: Final = len(CITIES) + 1  # the "city" of bank accounts that receive transfers
CHANNELS: Final = ("card_present", "online", "transfer")


def kinds(*names: str) -> NDArray[np.int64]:
    """Type indices by name."""
    return np.array([TYPE_INDEX[name] for name in names])


@dataclass(frozen=True, slots=True)
class Merchants:
    """All merchants, ordered by place: `start[p]..start[p] + count[p]` are those of place p."""

    kind: NDArray[np.int64]
    place: NDArray[np.int64]
    price: Floats
    start: NDArray[np.int64]
    count: NDArray[np.int64]

    def visit(self, place: NDArray[Any], u: Floats) -> NDArray[np.int64]:
        """A merchant of each place; the first ones of a place are the popular ones."""
        return np.asarray(self.start[place] + np.floor(self.count[place] * u**1.5).astype(np.int64))

    def of_kind(self, wanted: NDArray[np.int64], place: int | None = None) -> NDArray[np.int64]:
        """Merchants of some types, of one place or of any."""
        mask = np.isin(self.kind, wanted)
        if place is not None:
            mask &= self.place == place
        return np.flatnonzero(mask)

    def channel(self, merchant: NDArray[Any]) -> NDArray[np.int64]:
        """Index into CHANNELS: how this merchant is paid."""
        return np.asarray(np.maximum(self.place[merchant] - ONLINE + 1, 0))


def build_merchants(seed: int) -> Merchants:
    """The same merchants for the same seed: 24 to 90 in each city, 180 online, 300 payees."""
    rng = np.random.default_rng([seed, 11])
    homes = np.array([city.home for city in CITIES], dtype=np.float64)
    count = np.concatenate([24 + (homes * 6).astype(np.int64), [180, 300]])
    place = np.repeat(np.arange(PAYEES + 1), count)
    in_city = np.cumsum([kind.in_city for kind in TYPES], dtype=np.float64)
    online = np.cumsum([kind.online for kind in TYPES], dtype=np.float64)
    u = rng.random(place.size)
    kind = np.where(place == ONLINE, pick(online, u), pick(in_city, u))
    kind[place == PAYEES] = TYPE_INDEX["bank_transfer"]
    for index, always in enumerate(("gaming", "crypto", "money_transfer", "digital_goods")):
        kind[np.flatnonzero(place == ONLINE)[20 * index + 7]] = TYPE_INDEX[always]
    for city in range(ONLINE):  # every city has the kinds that the fraud scenarios need
        for index, always in enumerate(("atm", "electronics", "fuel", "jewelry", "grocery")):
            kind[np.flatnonzero(place == city)[4 * index + 1]] = TYPE_INDEX[always]
    price = rng.normal(0.0, 0.25, place.size)
    return Merchants(kind, place, price, np.concatenate([[0], np.cumsum(count)[:-1]]), count)


def purchase_amounts(
    merchants: Merchants, merchant: NDArray[Any], wealth: Floats, rng: np.random.Generator
) -> Floats:
    """Ordinary amounts in EUR: type median x price level of the merchant x wealth x noise."""
    kind = merchants.kind[merchant]
    noise = rng.normal(0.0, 1.0, merchant.size) * SPREAD[kind]
    amount = np.exp(LOG_MEDIAN[kind] + merchants.price[merchant] + wealth + noise)
    cash = kind == TYPE_INDEX["atm"]
    amount = np.where(cash, np.maximum(np.round(amount / 10) * 10, 10), amount)
    tidy = rng.random(merchant.size) < 0.12
    return np.asarray(np.where(tidy, np.maximum(np.round(amount), 1.0), amount))


def rows(**columns: Any) -> Columns:
    """A table from scalars and arrays, broadcast to one length."""
    arrays = np.broadcast_arrays(*[np.atleast_1d(np.asarray(c)) for c in columns.values()])
    return {name: array.copy() for name, array in zip(columns, arrays, strict=True)}
