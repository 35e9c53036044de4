"""The OpenAPI schema for drf-spectacular: its words, and names of values that fields share."""

API_SCHEMA = {
    "TITLE": "riskplatform",
    "DESCRIPTION": "Score events, read predictions, give feedback.",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "RiskLevelEnum": ["LOW", "MEDIUM", "HIGH", "CRITICAL"],
        "ThreeLevelsEnum": ["LOW", "MEDIUM", "HIGH"],
        "DecisionEnum": ["APPROVE", "REVIEW", "BLOCK"],
        "RuleStageEnum": ["live", "shadow"],
        "ListKindEnum": ["allow", "deny"],
        "ListedEnum": ["added", "standing", "repeated"],
        "TakenOffEnum": ["removed", "absent", "repeated"],
        "StageEnum": "models_registry.models.ModelVersion.Stage",
        "MeasuredKindEnum": ["number", "category", "rate"],
        "DriftEnum": ["stable", "moderate", "major", "unknown"],
        "JobStatusEnum": ["queued", "running", "succeeded", "failed", "cancelled"],
        "PartEnum": ["ok", "unreachable"],
        "HealthEnum": ["ok", "degraded", "unavailable"],
        "SourceStatusEnum": ["ready", "declared"],
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}
