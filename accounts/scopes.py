"""What an API key may be allowed to do."""

SCOPES = {
    "score": "Score events.",
    "predictions:read": "Read predictions.",
    "cases:read": "Read alerts and cases.",
    "feedback:write": "Give feedback (labels) on predictions.",
    "lists:read": "Read the allow and deny lists.",
    "lists:write": "Put values on the allow and deny lists, and take them off.",
    "models:read": "Read detectors, versions, promotions, jobs, metrics, drift and integrity.",
    "models:write": "Train, explain, import and export, ask for and decide promotions, shadow, "
    "roll back, check drift, flush the prediction cache.",
    "sources:write": "Declare sources of events.",
    "admin": "Everything that the other scopes allow, and administration.",
}
ADMIN_SCOPE = "admin"
WRITING_SCOPES = frozenset({"feedback:write", "lists:write", "models:write", "sources:write"})
"""What is done with these is done in the user's name: the user's own right is asked as well."""
