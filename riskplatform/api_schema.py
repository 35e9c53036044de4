"""The OpenAPI schema for drf-spectacular: its words, and names of values that fields share."""

API_SCHEMA = {
    "TITLE": "riskplatform",
    "DESCRIPTION": (
        "Score events, read what was decided and why, say what turned out to be true, read alerts"
        " and cases, keep lists and sources, train and promote models. Send an API key as"
        " `Authorization: Token <key>` or"
        " `X-API-Key: <key>`, or a person's access token as `Authorization: Bearer <token>`."
    ),
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "riskplatform.api_sections.sort_into_sections",
        "riskplatform.api_examples.put_examples",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "RiskLevelEnum": ["LOW", "MEDIUM", "HIGH", "CRITICAL"],
        "ThreeLevelsEnum": ["LOW", "MEDIUM", "HIGH"],
        "DecisionEnum": ["APPROVE", "REVIEW", "BLOCK"],
        "RuleStageEnum": ["live", "shadow"],
        "ListKindEnum": ["allow", "deny"],
        "AlertStatusEnum": ["open", "in_case", "closed"],
        "CaseStatusEnum": [
            *("open", "investigating", "pending_approval", "closed", "reopened", "merged"),
        ],
        "EvaluationKindEnum": "models_registry.evaluation_models.Evaluation.Kind",
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
