"""The account holders of the `fraud` detector: countries, kinds of merchant, devices, habits."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Floats, pick, unit
from scoring.simulation.geography import DAY_MS, ZONES
from scoring.simulation.rhythm import ARCHETYPE_SHARES, Crowd

# name, median USD, sigma of the lognormal, share of purchases
KINDS: Final = (
    ("grocery", 34.0, 0.65, 26.0),
    ("restaurant", 30.0, 0.60, 16.0),
    ("fuel", 45.0, 0.40, 9.0),
    ("retail", 52.0, 0.80, 14.0),
    ("pharmacy", 20.0, 0.60, 5.0),
    ("electronics", 150.0, 0.95, 4.0),
    ("digital_goods", 10.0, 0.60, 8.0),
    ("gaming", 16.0, 0.90, 4.0),
    ("gambling", 45.0, 1.00, 1.0),
    ("travel", 260.0, 0.75, 4.0),
    ("entertainment", 28.0, 0.60, 5.0),
    ("utilities", 95.0, 0.50, 4.0),
    ("jewelry", 230.0, 1.00, 0.7),
    ("crypto", 200.0, 1.20, 0.8),
    ("money_transfer", 180.0, 1.10, 2.2),
    ("atm", 90.0, 0.60, 3.5),
)
KIND_NAMES: Final = tuple(kind[0] for kind in KINDS)
LOG_MEDIAN_USD: Final = np.log([kind[1] for kind in KINDS])
SPREAD_USD: Final = np.array([kind[2] for kind in KINDS])
# country, zone, share of account holders, share of trips and foreign shops
_LANDS: Final = (
    ("US", "America/New_York", 50.0, 20.0),
    ("CA", "America/Toronto", 8.0, 8.0),
    ("GB", "Europe/London", 12.0, 14.0),
    ("DE", "Europe/Berlin", 8.0, 9.0),
    ("FR", "Europe/Paris", 6.0, 10.0),
    ("ES", "Europe/Madrid", 3.0, 8.0),
    ("NL", "Europe/Amsterdam", 2.0, 4.0),
    ("MX", "America/Mexico_City", 2.0, 9.0),
    ("BR", "America/Sao_Paulo", 2.0, 3.0),
    ("IN", "Asia/Kolkata", 2.0, 3.0),
    ("SG", "Asia/Singapore", 1.5, 3.0),
    ("AU", "Australia/Sydney", 2.0, 3.0),
    ("NG", "Africa/Lagos", 0.5, 0.7),
    ("RO", "Europe/Athens", 0.5, 1.0),
    ("TR", "Europe/Istanbul", 0.5, 2.0),
)
COUNTRIES: Final = tuple(land[0] for land in _LANDS)
DEVICES: Final = ("mobile", "desktop", "tablet")


@dataclass(frozen=True, slots=True)
class Accounts:
    """One row per account, in the order of the crowd's groups."""

    seed: int
    crowd: Crowd
    country: NDArray[np.int64]
    wealth: Floats
    device: NDArray[np.int64]
    habits: NDArray[np.int64]  # (accounts, 6) kinds of merchant
    kind_cumulative: Floats
    country_cumulative: Floats

    def whereabouts(self, who: NDArray[Any], t_ms: NDArray[Any]) -> NDArray[np.int64]:
        """Country at each time: in one of seven fortnights abroad for up to nine days."""
        period = t_ms // (14 * DAY_MS)
        day = (t_ms - period * 14 * DAY_MS) / DAY_MS
        begin = unit(self.seed, 42, who, period) * 8.0
        length = 1.0 + 8.0 * unit(self.seed, 43, who, period)
        away = unit(self.seed, 41, who, period) < 0.14
        away &= (day >= begin) & (day < begin + length)
        there = pick(self.country_cumulative, unit(self.seed, 44, who, period))
        return np.where(away, there, self.country[who])


def build_accounts(seed: int, size: int = 4_000) -> Accounts:
    """The same accounts for the same seed."""
    rng = np.random.default_rng([seed, 13])
    country = pick(np.cumsum([land[2] for land in _LANDS]), rng.random(size))
    zone = np.array([ZONES.index(land[1]) for land in _LANDS])[country]
    archetype = pick(np.cumsum(ARCHETYPE_SHARES), rng.random(size))
    order = Crowd.order(archetype, zone)
    country, zone, archetype = country[order], zone[order], archetype[order]
    kinds = np.cumsum([kind[3] for kind in KINDS])
    activity = np.clip(0.6 * np.exp(rng.normal(0.0, 0.9, size)), 0.03, 6.0)
    return Accounts(
        seed=seed,
        crowd=Crowd.build(activity, archetype, zone),
        country=country,
        wealth=rng.normal(0.0, 0.4, size),
        device=pick(np.array([0.56, 0.9, 1.0]), rng.random(size)),
        habits=pick(kinds, rng.random((size, 6))),
        kind_cumulative=kinds,
        country_cumulative=np.cumsum([land[3] for land in _LANDS]),
    )
