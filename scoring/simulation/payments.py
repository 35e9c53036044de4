"""The world of the `payments` detector: purchases and transfers of customers with habits."""

from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Columns, pick
from scoring.simulation.geography import (
    CITIES,
    CITY_ZONE,
    DAY_MS,
    EPOCH,
    fixed_zone,
    offset_minutes,
)
from scoring.simulation.merchants import CHANNELS, ONLINE, TYPES, build_merchants, purchase_amounts
from scoring.simulation.payments_fraud import SCENARIOS, Scene
from scoring.simulation.people import build_people

TRANSFER_SHARE: Final = 0.03
SPLURGE_SHARE: Final = 0.006  # legitimate, and four to fourteen times the ordinary amount
VPN_SHARE: Final = 0.02  # online purchases that seem to come from another city


class PaymentsWorld:
    """Customers, merchants and the six fraud scenarios of payments."""

    code: Final = 1
    detector: Final = "payments"
    resolution_ms: Final = 1

    def __init__(self, seed: int) -> None:
        self.merchants = build_merchants(seed)
        self.people = build_people(seed, self.merchants)
        self.crowd = self.people.crowd
        self.scene = Scene(self.people, self.merchants)
        self.scenarios = SCENARIOS
        self._names = self.people.names()

    def legitimate(
        self, t: NDArray[np.int64], who: NDArray[np.int64], rng: np.random.Generator
    ) -> Columns:
        """One ordinary event for each (time in ms, customer)."""
        people, n = self.people, t.size
        city = people.whereabouts(who, t)
        merchant = self._merchants(t, who, city, rng)
        channel = self.merchants.channel(merchant)
        amount = purchase_amounts(self.merchants, merchant, people.wealth[who], rng)
        splurge = rng.random(n) < SPLURGE_SHARE
        amount = np.where(splurge, amount * rng.uniform(4.0, 14.0, n), amount)
        usual = people.transfer[who] * np.where(rng.random(n) < 0.8, 1.0, rng.uniform(0.2, 4.0, n))
        amount = np.where(channel == 2, usual, amount)
        second = rng.random(n) < np.where(channel == 0, 0.05, 0.3)
        device = people.device(who, t, second)
        device = np.where((channel == 0) & people.plastic[who], people.card(who), device)
        vpn = (channel == 1) & (rng.random(n) < VPN_SHARE)
        elsewhere = pick(people.travel_cumulative, rng.random(n))
        city = np.where(vpn, elsewhere, city)
        return {
            "t": t,
            "who": who,
            "merchant": merchant,
            "channel": channel,
            "city": city,
            "amount": amount,
            "device": device,
            "fraud": np.zeros(n, dtype=bool),
        }

    def _merchants(
        self, t: NDArray[Any], who: NDArray[Any], city: NDArray[Any], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Favourites mostly; another shop sometimes; the shops of the place when travelling."""
        people, n = self.people, t.size
        size = people.parameters.favourites
        online = rng.random(n) < people.online_share[who]
        rank = (rng.random(n) ** 1.6 * np.where(online, 3, size - 3)).astype(np.int64)
        favourite = people.favourites[who, rank + np.where(online, size - 3, 0)]
        place = np.where(online, ONLINE, city)
        other = self.merchants.visit(place, rng.random(n))
        stays = online | (city == people.home[who])
        loyal = stays & (rng.random(n) < people.parameters.loyalty)
        day_of_month = (t // DAY_MS * DAY_MS).astype("datetime64[ms]").astype("datetime64[D]")
        day = (day_of_month - day_of_month.astype("datetime64[M]")).astype(np.int64)
        payday = np.where((day < 4) | (day > 25), 2.2, 0.6)
        transfer = rng.random(n) < TRANSFER_SHARE * payday
        return np.where(transfer, people.payee[who], np.where(loyal, favourite, other))

    def finish(self, table: Columns) -> Columns:
        """Round the amounts to cents: the last thing before a row becomes an event."""
        table["amount"] = np.maximum(np.round(table["amount"], 2), 0.5)
        return table

    def forget(self, start_ms: int, tempo: float, rng: np.random.Generator) -> None:
        """Nothing to forget: a payment tells nothing of the one before it."""

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]:
        """JSON bodies of the events, in row order."""
        minutes = offset_minutes(CITY_ZONE[table["city"]], table["t"]).tolist()
        return [
            {
                "transaction_id": f"txn_{number:012x}",
                "user_id": f"cust_{who + 1000}",
                "amount": amount,
                "currency": "EUR",
                "location": CITIES[city].name,
                "timestamp": (EPOCH + timedelta(milliseconds=t))
                .astimezone(fixed_zone(shift))
                .isoformat(timespec="milliseconds"),
                "merchant_type": TYPES[kind].name,
                "country": CITIES[city].country,
                "mcc_code": TYPES[kind].mcc,
                "device_id": f"dev_{device & 0xFFFFFFFFFF:010x}",
                "merchant_id": f"mer_{merchant:05d}",
                "channel": CHANNELS[channel],
                "user_name": self._names[who],
            }
            for number, t, who, amount, city, shift, kind, device, merchant, channel in zip(
                ids,
                table["t"].tolist(),
                table["who"].tolist(),
                table["amount"].tolist(),
                table["city"].tolist(),
                minutes,
                self.merchants.kind[table["merchant"]].tolist(),
                table["device"].tolist(),
                table["merchant"].tolist(),
                table["channel"].tolist(),
                strict=True,
            )
        ]
