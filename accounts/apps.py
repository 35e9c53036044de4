"""The ground floor: users, roles, API keys, the audit trail, the vault."""

from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        # They need the models, which are not loaded yet while this file is.
        import_module("accounts.receivers")
        import_module("accounts.openapi")
