"""The examples of the API's own page: what its forms begin with, and what works as it stands.

They speak of the shipped detectors. Those of the contracts stand beside their views
(`scoring.api.asking.documented`).
"""

from typing import Any, Final

FRAUD: Final = {
    "transaction_id": "order-4711",
    "transaction_amount": 9999.99,
    "merchant_type": "gaming",
    "country": "NG",
    "time_delta": 0.1,
    "device_type": "mobile",
}
PAYMENT: Final = {
    "transaction_id": "payment-4711",
    "user_id": "customer-1",
    "amount": 89.9,
    "location": "Berlin",
    "timestamp": "2026-11-21T14:30:00+01:00",
    "merchant_type": "electronics",
}
SOURCE: Final = {
    "name": "Web shop",
    "source_type": "webhook",
    "detector": "payments",
    "mapping": {"transaction_id": "order", "user_id": "customer", "merchant_type": "goods"},
    "schema": {
        "type": "object",
        "properties": {
            "order": {"type": "string"},
            "customer": {"type": "string"},
            "amount": {"type": "number", "minimum": 0},
            "location": {"type": "string"},
            "timestamp": {"type": "string"},
            "goods": {"type": "string"},
        },
        "required": ["order", "customer", "amount"],
    },
    "pii_fields": ["customer"],
}
SOLD: Final = {
    "order": "order-1",
    "customer": "customer-1",
    "amount": 89.9,
    "location": "Berlin",
    "timestamp": "2026-11-21T14:31:00+01:00",
    "goods": "electronics",
}
DENIED: Final = {"kind": "deny", "field": "device_id", "values": ["device-1", "device-2"]}
KNOWN: Final = {"prediction_id": "transaction-1", "actual_label": True}
REFRESH: Final = {"refresh": "The refresh token of the log-in."}

BODIES: Final[dict[str, Any]] = {
    "/api/v1/auth/login": {"username": "engineer", "password": "The password of that user."},
    "/api/v1/auth/logout": REFRESH,
    "/api/v1/auth/refresh": REFRESH,
    "/api/v1/cache/flush": {"detector": "payments"},
    "/api/v1/detectors/{slug}/list-entries": DENIED | {"reason": "Chargeback ring"},
    "/api/v1/detectors/{slug}/list-entries/remove": DENIED,
    "/api/v1/detectors/{slug}/roll_back": {"reason": "Too many false alerts since Monday"},
    "/api/v1/detectors/{slug}/score": FRAUD,
    "/api/v1/detectors/{slug}/score/batch": {
        "events": [FRAUD, FRAUD | {"transaction_id": "order-4712", "transaction_amount": 12.5}]
    },
    "/api/v1/detectors/{slug}/train": {"learner": "lightgbm", "tune_for": 60},
    "/api/v1/drift/check": {"detector": "payments"},
    "/api/v1/feedback": KNOWN | {"reason_code": "chargeback", "notes": "Order 4711"},
    "/api/v1/models/{id}/evaluations": {"kind": "as_of"},
    "/api/v1/models/{id}/promote": {"reason": "Finds what the former one missed"},
    "/api/v1/models/{id}/reject": {"reason": "No better than the champion"},
    "/api/v1/promotions/{id}/approve": {"note": "The comparison convinces me"},
    "/api/v1/promotions/{id}/refuse": {"note": "Wait for the labels of this week"},
    "/api/v1/sources": SOURCE,
    "/api/v1/sources/{slug}/events": SOLD,
    "/batch-detect": [PAYMENT, PAYMENT | {"transaction_id": "payment-4712", "amount": 25}],
}
"""By address; of the ids in these addresses each installation has its own."""
SLUGS: Final = (
    ("/api/v1/detectors/{slug}/list-entries", "payments"),
    ("/api/v1/detectors/", "fraud"),
    ("/api/v1/sources/", "web-shop"),
)
"""The first that an address begins with."""


def slug_in(path: str) -> str:
    """The slug that goes with the body of an address. Raises LookupError for one without."""
    for start, slug in SLUGS:
        if path.startswith(start):
            return slug
    raise LookupError(f"{path} has no slug to begin with (riskplatform.api_examples)")


def put_examples(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Give each body and each slug of an address its example. A hook of drf-spectacular."""
    for path, operations in result["paths"].items():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            if path in BODIES and "application/json" in content:
                content["application/json"]["example"] = BODIES[path]
            for parameter in operation.get("parameters", ()):
                if (parameter["in"], parameter["name"]) == ("path", "slug"):
                    parameter["example"] = slug_in(path)
    return result
