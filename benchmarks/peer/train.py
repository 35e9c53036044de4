"""Fit the yardstick's models: `python train.py FOLDER` reads and writes in FOLDER.

FOLDER holds `<name>.jsonl`, one {"event": {...}, "is_fraud": bool} a line, for fraud, anomaly and
payments; the models appear beside them as `<name>.joblib`.
"""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FRAUD_NUMBERS = ["transaction_amount", "time_delta"]
FRAUD_CATEGORIES = ["merchant_type", "country", "device_type"]
ANOMALY = ["response_time", "error_rate", "cpu_usage", "memory_usage"]
FULL_NUMBERS = [
    "amount", "hour", "count_1h", "sum_1h", "places_1h", "count_24h", "sum_24h", "places_24h",
    "count_7d", "mean_7d", "ratio_7d",
]  # fmt: skip
FULL_CATEGORIES = ["merchant_type"]
WINDOWS = {"1h": "1h", "24h": "24h", "7d": "7D"}


def read(folder: Path, name: str) -> tuple[pd.DataFrame, np.ndarray]:
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    labels = np.array([row["is_fraud"] for row in rows], int)
    return pd.DataFrame([row["event"] for row in rows]), labels


def fit_fraud(events: pd.DataFrame, labels: np.ndarray) -> Pipeline:
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), FRAUD_NUMBERS),
            ("categories", OneHotEncoder(handle_unknown="ignore"), FRAUD_CATEGORIES),
        ]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=1000))]).fit(
        events[FRAUD_NUMBERS + FRAUD_CATEGORIES], labels
    )


def fit_anomaly(events: pd.DataFrame) -> Pipeline:
    forest = IsolationForest(n_estimators=200, random_state=0)
    return Pipeline([("scale", StandardScaler()), ("model", forest)]).fit(events[ANOMALY])


def history_features(past: pd.DataFrame) -> pd.DataFrame:
    """Features of the last row of one user's payments (`at`, `amount`, `location`, ...).

    Training and service call the same function, so that they cannot drift apart.
    """
    now = past.iloc[-1]
    found = {"amount": now["amount"], "hour": now["at"].hour}
    for name, span in WINDOWS.items():
        inside = past[past["at"] > now["at"] - pd.Timedelta(span)]
        found[f"count_{name}"] = len(inside)
        found[f"sum_{name}"] = inside["amount"].sum()
        found[f"places_{name}"] = inside["location"].nunique()
    found["mean_7d"] = found["sum_7d"] / found["count_7d"]
    found["ratio_7d"] = found["amount"] / max(found["mean_7d"], 0.01)
    found["merchant_type"] = now["merchant_type"]
    return pd.DataFrame([found])[FULL_NUMBERS + FULL_CATEGORIES]


def fit_full(events: pd.DataFrame, labels: np.ndarray) -> Pipeline:
    at = pd.to_datetime(events["timestamp"], utc=True, format="ISO8601")
    frame = events.assign(at=at, label=labels).sort_values("at")
    rows, truths = [], []
    for _, own in frame.groupby("user_id"):
        for i in range(len(own)):
            rows.append(history_features(own.iloc[: i + 1]))
            truths.append(own["label"].iloc[i])
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), FULL_NUMBERS),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False),
             FULL_CATEGORIES),
        ]
    )  # fmt: skip
    model = LGBMClassifier(n_estimators=100, num_leaves=15, n_jobs=1, verbose=-1)
    return Pipeline([("columns", columns), ("model", model)]).fit(pd.concat(rows), truths)


def main(folder: Path) -> None:
    joblib.dump(fit_fraud(*read(folder, "fraud")), folder / "fraud.joblib")
    joblib.dump(fit_anomaly(read(folder, "anomaly")[0]), folder / "anomaly.joblib")
    joblib.dump(fit_full(*read(folder, "payments")), folder / "payments.joblib")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
