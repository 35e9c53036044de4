"""The project's own settings; only passwords are hashed at once instead of in a second each."""

from riskplatform.settings import *  # noqa: F403 - everything

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
