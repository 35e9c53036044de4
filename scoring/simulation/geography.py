"""Cities, distances and local time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Floats

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MINUTE_MS: Final = 60_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class City:
    """A place: `home` and `travel` are relative weights of living there and of visiting it."""

    name: str
    country: str
    zone: str
    latitude: float
    longitude: float
    home: float
    travel: float


CITIES: Final = (
    City("Berlin", "DE", "Europe/Berlin", 52.52, 13.40, 10, 5),
    City("Munich", "DE", "Europe/Berlin", 48.14, 11.58, 6, 3),
    City("Hamburg", "DE", "Europe/Berlin", 53.55, 9.99, 6, 2),
    City("Paris", "FR", "Europe/Paris", 48.86, 2.35, 11, 8),
    City("Lyon", "FR", "Europe/Paris", 45.76, 4.84, 4, 2),
    City("Madrid", "ES", "Europe/Madrid", 40.42, -3.70, 7, 4),
    City("Barcelona", "ES", "Europe/Madrid", 41.39, 2.17, 5, 7),
    City("Rome", "IT", "Europe/Rome", 41.90, 12.50, 6, 6),
    City("Milan", "IT", "Europe/Rome", 45.46, 9.19, 5, 4),
    City("Amsterdam", "NL", "Europe/Amsterdam", 52.37, 4.90, 6, 5),
    City("Brussels", "BE", "Europe/Brussels", 50.85, 4.35, 4, 3),
    City("Vienna", "AT", "Europe/Vienna", 48.21, 16.37, 4, 4),
    City("Lisbon", "PT", "Europe/Lisbon", 38.72, -9.14, 4, 5),
    City("Dublin", "IE", "Europe/Dublin", 53.35, -6.26, 4, 3),
    City("Helsinki", "FI", "Europe/Helsinki", 60.17, 24.94, 3, 1),
    City("Athens", "GR", "Europe/Athens", 37.98, 23.73, 3, 4),
    City("London", "GB", "Europe/London", 51.51, -0.13, 3, 8),
    City("Zurich", "CH", "Europe/Zurich", 47.38, 8.54, 1, 3),
    City("Prague", "CZ", "Europe/Prague", 50.08, 14.44, 1, 3),
    City("Warsaw", "PL", "Europe/Warsaw", 52.23, 21.01, 1, 2),
    City("New York", "US", "America/New_York", 40.71, -74.01, 3, 4),
    City("Miami", "US", "America/New_York", 25.76, -80.19, 0, 2),
    City("Toronto", "CA", "America/Toronto", 43.65, -79.38, 1, 1),
    City("Mexico City", "MX", "America/Mexico_City", 19.43, -99.13, 0, 1),
    City("São Paulo", "BR", "America/Sao_Paulo", -23.55, -46.63, 1, 1),
    City("Lagos", "NG", "Africa/Lagos", 6.52, 3.38, 0, 0.5),
    City("Cape Town", "ZA", "Africa/Johannesburg", -33.92, 18.42, 0, 1),
    City("Istanbul", "TR", "Europe/Istanbul", 41.01, 28.98, 0, 3),
    City("Dubai", "AE", "Asia/Dubai", 25.20, 55.27, 0, 2),
    City("Mumbai", "IN", "Asia/Kolkata", 19.08, 72.88, 0, 1),
    City("Bangkok", "TH", "Asia/Bangkok", 13.76, 100.50, 0, 2),
    City("Singapore", "SG", "Asia/Singapore", 1.35, 103.82, 2, 1),
    City("Hong Kong", "HK", "Asia/Hong_Kong", 22.32, 114.17, 0, 1),
    City("Tokyo", "JP", "Asia/Tokyo", 35.68, 139.69, 1, 2),
    City("Sydney", "AU", "Australia/Sydney", -33.87, 151.21, 1, 1),
)
ZONES: Final = tuple(sorted({city.zone for city in CITIES}))
CITY_ZONE: Final = np.array([ZONES.index(city.zone) for city in CITIES])


def great_circle_km() -> Floats:
    """Distances between all cities, shape (cities, cities), kilometres (haversine)."""
    lat = np.radians([city.latitude for city in CITIES])
    lon = np.radians([city.longitude for city in CITIES])
    dlat, dlon = lat[:, None] - lat, lon[:, None] - lon
    a = np.sin(dlat / 2) ** 2 + np.cos(lat[:, None]) * np.cos(lat) * np.sin(dlon / 2) ** 2
    return np.asarray(12_742.0 * np.arcsin(np.sqrt(a)))


DISTANCE_KM: Final = great_circle_km()


@lru_cache(maxsize=200_000)
def _offset_minutes(zone: str, hour: int) -> int:
    moment = datetime.fromtimestamp(hour * 3600, tz=ZoneInfo(zone))
    offset = moment.utcoffset()
    return int(offset.total_seconds()) // 60 if offset else 0


def offset_minutes(zone_index: NDArray[Any], t_ms: NDArray[Any]) -> NDArray[np.int64]:
    """UTC offsets in minutes of each (zone, time): zones never change within a UTC hour."""
    if t_ms.size == 0:
        return np.zeros(0, dtype=np.int64)
    hour = t_ms // HOUR_MS
    first, last = int(hour.min()), int(hour.max())
    code = zone_index.astype(np.int64) * (last - first + 1) + (hour - first)
    codes, inverse = np.unique(code, return_inverse=True)
    span = last - first + 1
    table = [_offset_minutes(ZONES[c // span], first + c % span) for c in codes.tolist()]
    return np.asarray(table, dtype=np.int64)[inverse]


@lru_cache(maxsize=256)
def fixed_zone(minutes: int) -> timezone:
    """The timezone object of a UTC offset."""
    return timezone(timedelta(minutes=minutes))
