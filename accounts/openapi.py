"""How API keys look in the OpenAPI schema. Importing this module registers it."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = ["tokenHeader", "apiKeyHeader"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Token rp_…` (or `Bearer rp_…`)",
            },
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`rp_…`"},
        ]


class JwtScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.jwt_authentication.JwtAuthentication"
    name = "jwt"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
