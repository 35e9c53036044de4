"""The customers: who they are and what they are used to."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Floats, mix, pick, unit
from scoring.simulation.geography import CITIES, CITY_ZONE, DAY_MS
from scoring.simulation.merchants import ONLINE, PAYEES, Merchants
from scoring.simulation.rhythm import ARCHETYPE_SHARES, Crowd

_FIRST = """
    Anneke Birgit Camille Dagny Elodie Femke Greta Hanneke Ilse Jette Katinka Liesbeth Maren
    Noémie Odile Pernille Rosalind Saskia Tamsin Ursel Vivienne Wiebke Yvette Zelda Alistair
    Bertil Cedric Detlef Eskil Florian Guillaume Hamish Ingvar Joost Klaas Lennart Matthias
    Nils Otto Piers Quentin Ruben Sjoerd Thibault Ulrich Volker Wouter Xander Yannick Torsten
"""
_LAST = """
    Abelsen Bakkering Brandhorst Cardonnel Dahlqvist Delacourt Eberling Eikeland Fairweather
    Feldkamp Gravesen Haverkort Hollingbery Ingersol Jaspersen Kesselring Kjellgren Lindemeyer
    Lachapelle Merriweather Mulderij Nordhagen Nachtigall Oosterveld Ottermann Pellington
    Pommerel Quistgaard Rautenberg Rosencrone Schoonhoven Silvermann Tillinghast Trondheimer
    Underhill Vanderleyden Vaillancourt Wassenberg Winterbourne Ysebaert Zimmerling Zuiderveen
    Ackerholm Bellefontaine Courtwright Drinkwater Engelbrecht Fontanel Greenhalgh Hasselblom
"""
FIRST_NAMES: Final = tuple(_FIRST.split())
LAST_NAMES: Final = tuple(_LAST.split())


@dataclass(frozen=True, slots=True)
class PeopleParameters:
    """Sizes and habits of the customers of the `payments` detector."""

    customers: int = 6_000
    activity_median: float = 0.6  # events per day
    activity_spread: float = 1.0  # sigma of the lognormal
    wealth_spread: float = 0.38  # sigma of the customer's price level
    favourites: int = 8  # of which the last three are online
    loyalty: float = 0.82  # share of purchases at a favourite
    trip_days: tuple[float, float] = (2.0, 9.0)
    trip_cycle_days: int = 28  # at most one trip per cycle
    device_life_days: tuple[float, float] = (250.0, 1100.0)


@dataclass(frozen=True, slots=True)
class People:
    """One row per customer, in the order of the crowd's groups."""

    seed: int
    parameters: PeopleParameters
    crowd: Crowd
    home: NDArray[np.int64]
    wealth: Floats
    wanderlust: Floats  # probability of a trip per cycle
    online_share: Floats
    plastic: NDArray[np.bool_]  # pays with the card itself, not with a phone
    devices: NDArray[np.int64]  # 1 or 2
    favourites: NDArray[np.int64]  # (customers, favourites) merchant indices
    payee: NDArray[np.int64]
    transfer: Floats  # the regular amount: rent, savings, salary passed on
    travel_cumulative: Floats

    def whereabouts(self, who: NDArray[Any], t_ms: NDArray[Any]) -> NDArray[np.int64]:
        """City index at each time: home, or the destination of the trip of that period."""
        low, high = self.parameters.trip_days
        cycle_ms = self.parameters.trip_cycle_days * DAY_MS
        shifted = t_ms + (unit(self.seed, 21, who) * cycle_ms).astype(np.int64)
        cycle = shifted // cycle_ms
        day = (shifted - cycle * cycle_ms) / DAY_MS
        length = low + (high - low) * unit(self.seed, 22, who, cycle) ** 2
        begin = unit(self.seed, 23, who, cycle) * (self.parameters.trip_cycle_days - length)
        goes = unit(self.seed, 24, who, cycle) < self.wanderlust[who]
        away = goes & (day >= begin) & (day < begin + length)
        there = pick(self.travel_cumulative, unit(self.seed, 25, who, cycle))
        return np.where(away, there, self.home[who])

    def device(self, who: NDArray[Any], t_ms: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        """Device words; devices are replaced after their life, at a customer-specific day."""
        low, high = self.parameters.device_life_days
        slot = np.where(second & (self.devices[who] > 1), 1, 0)
        life = (low + (high - low) * unit(self.seed, 26, who, slot)) * DAY_MS
        age = t_ms + unit(self.seed, 27, who, slot) * life
        return mix(self.seed, 28, who, slot, (age // life).astype(np.int64))

    def card(self, who: NDArray[Any]) -> NDArray[Any]:
        """The word of the plastic card, which has no device of its own."""
        return mix(self.seed, 29, who)

    def names(self) -> list[str]:
        """A made-up full name for each customer."""
        who = np.arange(self.home.size)
        first = (unit(self.seed, 30, who) * len(FIRST_NAMES)).astype(int).tolist()
        last = (unit(self.seed, 31, who) * len(LAST_NAMES)).astype(int).tolist()
        return [f"{FIRST_NAMES[f]} {LAST_NAMES[k]}" for f, k in zip(first, last, strict=True)]


def build_people(
    seed: int, merchants: Merchants, parameters: PeopleParameters | None = None
) -> People:
    """The same people for the same seed, whatever span or rate is simulated."""
    p = parameters or PeopleParameters()
    rng = np.random.default_rng([seed, 12])
    n = p.customers
    homes = np.cumsum([city.home for city in CITIES], dtype=np.float64)
    home = pick(homes, rng.random(n))
    archetype = pick(np.cumsum(ARCHETYPE_SHARES), rng.random(n))
    order = Crowd.order(archetype, CITY_ZONE[home])
    home, archetype = home[order], archetype[order]
    activity = p.activity_median * np.exp(rng.normal(0.0, p.activity_spread, n))
    local = merchants.visit(
        np.repeat(home[:, None], p.favourites, 1), rng.random((n, p.favourites))
    )
    web = merchants.visit(np.full((n, 3), ONLINE), rng.random((n, 3)))
    favourites = np.concatenate([local[:, : p.favourites - 3], web], axis=1)
    wealth = rng.normal(0.0, p.wealth_spread, n)
    return People(
        seed=seed,
        parameters=p,
        crowd=Crowd.build(np.clip(activity, 0.02, 8.0), archetype, CITY_ZONE[home]),
        home=home,
        wealth=wealth,
        wanderlust=rng.beta(1.2, 3.0, n),
        online_share=rng.beta(2.0, 4.0, n),
        plastic=rng.random(n) < 0.55,
        devices=1 + (rng.random(n) < 0.35),
        favourites=favourites,
        payee=merchants.visit(np.full(n, PAYEES), rng.random(n)),
        transfer=np.round(np.exp(np.log(620.0) + 1.3 * wealth + rng.normal(0, 0.45, n)) / 5) * 5,
        travel_cumulative=np.cumsum([city.travel for city in CITIES], dtype=np.float64),
    )
