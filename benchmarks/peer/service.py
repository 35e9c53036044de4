"""The yardstick: a scoring service as people write it today. Start: `uvicorn service:app`.

Environment: DATABASE_URL (postgresql+psycopg://...), MODELS (a folder), API_KEY.
"""

import hmac
import os
import unicodedata
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import joblib
import pandas as pd
import shap
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from rapidfuzz import fuzz, process
from sqlalchemy import JSON, DateTime, Float, Index, String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from train import ANOMALY, FRAUD_CATEGORIES, FRAUD_NUMBERS, history_features

warnings.filterwarnings("ignore", module="shap")
MODELS = Path(os.environ["MODELS"])
API_KEY = os.environ["API_KEY"]
engine = create_engine(os.environ["DATABASE_URL"], pool_size=20, max_overflow=20)
new_session = sessionmaker(engine, expire_on_commit=False)
fraud_model = joblib.load(MODELS / "fraud.joblib")
anomaly_model = joblib.load(MODELS / "anomaly.joblib")
full_pipeline = joblib.load(MODELS / "payments.joblib")
columns, full_model = full_pipeline.named_steps["columns"], full_pipeline.named_steps["model"]
explainer = shap.TreeExplainer(full_model)
FIRST = (
    "IVAN",
    "OMAR",
    "JOSE",
    "ALI",
    "MARIA",
    "HASSAN",
    "VIKTOR",
    "LIN",
    "SERGEI",
    "NADIA",
    "PEDRO",
    "FATIMA",
    "BORIS",
    "CHEN",
    "ELENA",
    "DMITRI",
    "YUSUF",
    "ANNA",
    "KARIM",
    "LUIS",
)
LAST = (
    "PETROV",
    "HAKIMI",
    "GARCIA",
    "KHAN",
    "IVANOVA",
    "SALEH",
    "ORLOV",
    "WANG",
    "SOKOLOV",
    "RAHMAN",
    "GOMEZ",
    "AZIZ",
    "POPOV",
    "ZHANG",
    "SMIRNOVA",
    "VOLKOV",
    "DEMIR",
    "KUZNETSOVA",
    "NOURI",
    "TORRES",
    "ABBAS",
    "LEONOV",
    "MORALES",
    "HUSSEIN",
    "LEBEDEV",
)
NAMES = [f"{first} {last}" for first in FIRST for last in LAST]


class Base(DeclarativeBase):
    pass


class Prediction(Base):
    __tablename__ = "predictions"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=lambda: str(uuid4()))
    kind: Mapped[str] = mapped_column(String(20))
    transaction_id: Mapped[str] = mapped_column(String(100), index=True)
    user_id: Mapped[str] = mapped_column(String(100), default="")
    amount: Mapped[float] = mapped_column(Float, default=0.0)
    location: Mapped[str] = mapped_column(String(100), default="")
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    score: Mapped[float] = mapped_column(Float)
    decision: Mapped[str] = mapped_column(String(10))
    reasons: Mapped[list[Any]] = mapped_column(JSON, default=list)
    __table_args__ = (Index("by_user", "user_id", "at"),)


Base.metadata.create_all(engine)
app = FastAPI()


def session() -> Iterator[Session]:
    with new_session() as opened:
        yield opened


def check_key(x_api_key: Annotated[str, Header()] = "") -> None:
    if not hmac.compare_digest(x_api_key, API_KEY):
        raise HTTPException(401, "wrong key")


Db = Annotated[Session, Depends(session)]


class Answer(BaseModel):
    prediction_id: str
    score: float
    decision: str
    reasons: list[dict[str, Any]] = []


class FraudIn(BaseModel):
    transaction_id: str = Field(min_length=1, max_length=100)
    timestamp: datetime
    transaction_amount: float = Field(gt=0)
    merchant_type: str
    country: str = Field(min_length=2, max_length=2)
    time_delta: float = Field(ge=0)
    device_type: str


class AnomalyIn(BaseModel):
    sample_id: str = Field(min_length=1, max_length=100)
    timestamp: datetime
    response_time: float = Field(gt=0)
    error_rate: float = Field(ge=0, le=1)
    cpu_usage: float = Field(ge=0, le=100)
    memory_usage: float = Field(ge=0, le=100)


class PaymentIn(BaseModel):
    transaction_id: str = Field(min_length=1, max_length=100)
    user_id: str
    user_name: str = ""
    amount: float = Field(ge=0)
    currency: str = "EUR"
    location: str
    timestamp: datetime
    merchant_type: str


def stored(db: Session, row: Prediction) -> Answer:
    db.add(row)
    db.commit()
    return Answer(
        prediction_id=row.id, score=row.score, decision=row.decision, reasons=row.reasons or []
    )


def decide(score: float) -> str:
    return "BLOCK" if score >= 0.9 else "REVIEW" if score >= 0.5 else "APPROVE"


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/fraud", dependencies=[Depends(check_key)])
def score_fraud(event: FraudIn, db: Db) -> Answer:
    frame = pd.DataFrame([event.model_dump(include={*FRAUD_NUMBERS, *FRAUD_CATEGORIES})])
    score = float(fraud_model.predict_proba(frame)[0, 1])
    row = Prediction(
        kind="fraud", transaction_id=event.transaction_id, amount=event.transaction_amount,
        at=event.timestamp, payload=event.model_dump(mode="json"), score=score,
        decision=decide(score),
    )  # fmt: skip
    return stored(db, row)


@app.post("/anomaly", dependencies=[Depends(check_key)])
def score_anomaly(event: AnomalyIn, db: Db) -> Answer:
    frame = pd.DataFrame([event.model_dump(include=set(ANOMALY))])[ANOMALY]
    score = float(-anomaly_model.decision_function(frame)[0])
    row = Prediction(
        kind="anomaly", transaction_id=event.sample_id, at=event.timestamp,
        payload=event.model_dump(mode="json"), score=score,
        decision="REVIEW" if score > 0.0 else "APPROVE",
    )  # fmt: skip
    return stored(db, row)


def past_of(db: Session, event: PaymentIn) -> pd.DataFrame:
    """The user's payments of the last week and this one, by one indexed query."""
    rows = db.execute(
        select(Prediction.at, Prediction.amount, Prediction.location, Prediction.payload).where(
            Prediction.user_id == event.user_id,
            Prediction.at > event.timestamp - timedelta(days=7),
            Prediction.at <= event.timestamp,
        ).order_by(Prediction.at)
    ).all()  # fmt: skip
    found = [(at, amount, place, body["merchant_type"]) for at, amount, place, body in rows]
    found.append((event.timestamp, event.amount, event.location, event.merchant_type))
    frame = pd.DataFrame(found, columns=["at", "amount", "location", "merchant_type"])
    return frame.assign(at=pd.to_datetime(frame["at"], utc=True))


def plain(name: str) -> str:
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(text.upper().split())


@app.post("/full", dependencies=[Depends(check_key)])
def score_full(event: PaymentIn, db: Db) -> Answer:
    frame = history_features(past_of(db, event))
    matrix = columns.transform(frame)
    score = float(full_model.predict_proba(matrix)[0, 1])
    shares = explainer.shap_values(matrix)[0]
    now = frame.iloc[0]
    rules = []
    if event.amount > 10_000:
        rules.append("HIGH_AMOUNT")
    if now["count_1h"] > 3 and now["places_1h"] >= 2:
        rules.append("VELOCITY_MULTI_CITY")
    if 2 <= now["hour"] < 5 and event.amount > 500:
        rules.append("UNUSUAL_HOUR")
    match = process.extractOne(
        plain(event.user_name), NAMES, scorer=fuzz.token_sort_ratio, score_cutoff=90
    )
    if match is not None:
        rules.append("SANCTIONS")
    top = sorted(zip(columns.get_feature_names_out(), shares, strict=True),
                 key=lambda pair: -abs(pair[1]))[:5]  # fmt: skip
    reasons: list[dict[str, Any]] = [{"feature": name, "share": float(v)} for name, v in top]
    reasons += [{"rule": rule} for rule in rules]
    decision = "BLOCK" if match else "REVIEW" if rules else decide(score)
    row = Prediction(
        kind="full", transaction_id=event.transaction_id, user_id=event.user_id,
        amount=event.amount, location=event.location, at=event.timestamp,
        payload=event.model_dump(mode="json"), score=score, decision=decision, reasons=reasons,
    )  # fmt: skip
    return stored(db, row)
