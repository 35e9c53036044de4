"""What an API key may be allowed to do."""

SCOPES = {
    "score": "Score events.",
    "predictions:read": "Read predictions, alerts and cases.",
    "feedback:write": "Give feedback (labels) on predictions.",
    "models:read": "Read detectors, versions, metrics and drift.",
    "models:write": "Start training and drift checks, flush the prediction cache.",
    "sources:write": "Declare sources of events.",
    "admin": "Everything that the other scopes allow, and administration.",
}
ADMIN_SCOPE = "admin"
