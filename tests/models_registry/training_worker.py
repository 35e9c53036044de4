"""A Celery application whose one task trains every learner that uses threads of its own."""

import json
import os
from pathlib import Path

from celery import Celery

from models_registry.core.learners.catalogue import make_learner
from tests.models_registry.core.data import risky_rows

SMALL = {
    "lightgbm": {"n_trees": 5},
    "xgboost": {"n_trees": 5},
    "random_forest": {"n_trees": 4, "max_depth": 4},
    "isolation_forest": {"n_trees": 4},
}


def train_all() -> dict[str, float]:
    """Mean score by learner, each trained as the platform trains it."""
    matrix, labels = risky_rows(600)
    return {
        name: float(make_learner(name, **parameters).fit(matrix, labels).score(matrix).mean())
        for name, parameters in SMALL.items()
    }


folder = Path(os.environ.get("TRAINING_FOLDER", "/nowhere"))
app = Celery("training", set_as_current=False)
app.conf.update(
    broker_url="filesystem://localhost",
    broker_transport="riskplatform.file_broker:Transport",
    broker_transport_options={
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.1,
    },
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)


@app.task(name="train")
def train(number: int) -> None:
    """Train all and write down what came out, under the number of the call."""
    beside = folder / f"{number}.part"
    beside.write_text(json.dumps({"process": os.getpid(), "scores": train_all()}))
    beside.rename(folder / f"{number}.json")


if os.environ.get("TRAIN_BEFORE_FORK"):
    train_all()
