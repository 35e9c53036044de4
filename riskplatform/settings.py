"""All settings, one file. Nothing set: embedded mode (SQLite, file broker); see the README.

Every value from the environment is read through riskplatform/environment.py, which refuses what is
wrong. One that is set to nothing is not set, so that an empty line never turns a safeguard off; but
an empty case limit says "never".
"""

import os
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from accounts.rates import DEFAULT_RATE
from accounts.vault import parse_keys
from riskplatform.api_schema import API_SCHEMA
from riskplatform.environment import LOCAL_HOME, SQLITE, Environment, home_of
from riskplatform.logs import LEVELS, logging_of
from riskplatform.var_dir import (
    keep_secret,
    own_database,
    own_folder,
    own_temporary_folder,
    prepare_broker_folders,
)
from riskplatform.version import newest_version

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(os.environ, may_be_empty={"RISK_CASE_APPROVAL_LIMIT"})
# Ten years kept, a week held: more is a slip, and days beyond the calendar are an error at night.
MOST_DAYS, MOST_MINUTES = 3650, 7 * 24 * 60
VERSION = newest_version(BASE_DIR / "CHANGELOG.md")

# --- Where things are kept -------------------------------------------------------------------
VAR_DIR = Path(env("RISK_VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
own_folder(VAR_DIR, ours="RISK_VAR_DIR" not in os.environ)
BUNDLE_DIR = Path(env("RISK_BUNDLE_DIR", default=str(VAR_DIR / "bundles"))).resolve()
DATABASE_URL = env("DATABASE_URL", default="")
REDIS_URL = env("REDIS_URL", default="")
EMBEDDED = not DATABASE_URL
FEATURE_STORE = env.choice("RISK_FEATURE_STORE", default="database", of=("database", "redis"))
if FEATURE_STORE == "redis" and not REDIS_URL:
    raise ImproperlyConfigured("RISK_FEATURE_STORE=redis needs REDIS_URL.")

# --- Where it listens (`runplatform`), and a web process's threads for pages and batches ---------
HOST = env("HOST", default="127.0.0.1")
PORT = env.whole("PORT", default=8000, least=1, most=65535)
WEB_THREADS = env.whole("WEB_THREADS", default=8, least=1, most=1000)

# --- Security --------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=False)
if EMBEDDED:
    SECRET_KEY = env("SECRET_KEY", default="") or keep_secret(
        VAR_DIR / "secret_key", get_random_secret_key
    )
    ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", default=["*"])
else:
    SECRET_KEY = env("SECRET_KEY")
    ALLOWED_HOSTS = env.items("ALLOWED_HOSTS")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY must have at least 32 characters.")
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS", default=[])
PII_KEYS = env("RISK_PII_KEYS", default="")
if not PII_KEYS:
    if not EMBEDDED:
        raise ImproperlyConfigured(
            "Set RISK_PII_KEYS (id:base64 of 32 bytes) or DATABASE_URL must be unset."
        )
    PII_KEYS = keep_secret(VAR_DIR / "pii_keys")
parse_keys(PII_KEYS)

SECURE_PROXY = env.flag("SECURE_PROXY", default=False)
if SECURE_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^(health|livez|readyz)$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_PROXY
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- Applications ----------------------------------------------------------------------------
INSTALLED_APPS = [
    "accounts",
    "jobs",
    "notifications",
    "scoring",
    "cases",
    "models_registry",
    "riskplatform",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_htmx",
    "template_partials",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "riskplatform.middleware.KeyedApiMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "riskplatform.middleware.FragmentMiddleware",
    "riskplatform.middleware.DeadEndMiddleware",
    "cases.blinding.BlindingMiddleware",
]
ROOT_URLCONF = "riskplatform.urls"
WSGI_APPLICATION = "riskplatform.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "riskplatform.context_processors.platform",
            ],
            "builtins": ["riskplatform.templatetags.pieces"],
        },
    },
]

# --- Database --------------------------------------------------------------------------------
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASE_URL:
    DATABASES = {"default": env.database("DATABASE_URL")}
else:
    _file = own_database(VAR_DIR / "riskplatform.db")
    DATABASES = {"default": {"ENGINE": SQLITE, "NAME": _file}}
if DATABASES["default"]["ENGINE"] == SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a writer waits for its turn at BEGIN instead of failing at its first write.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
        "PRAGMA cache_size=-65536;PRAGMA mmap_size=268435456;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.whole(
        "DATABASE_CONN_MAX_AGE", default=600, least=0, most=86_400
    )
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Off behind a pooler that gives each transaction another connection.
DATABASE_PREPARED_STATEMENTS = env.flag("DATABASE_PREPARED_STATEMENTS", default=True)

# --- Cache, broker, Celery -------------------------------------------------------------------
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "riskplatform",
            # A Redis that is silent holds nobody up for long: what is kept there can be had anew.
            "OPTIONS": {"serializer": "riskplatform.caching.JsonSerializer"}
            | dict.fromkeys(("socket_timeout", "socket_connect_timeout"), 0.5),
        }
    }
    CELERY_BROKER_URL = REDIS_URL
    # Longer than the longest training: Redis would hand a running task to a second worker. A Redis
    # that is silent (frozen, cut off) holds nobody up for long: a sweep sends what was not taken.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {"visibility_timeout": 12 * 3600} | (
        dict.fromkeys(("socket_timeout", "socket_connect_timeout"), 2.0)
    )
    CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
else:
    # Each process for itself: Django's caches in a database and in files load pickles.
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CELERY_BROKER_URL = "filesystem://localhost"  # a host is asked for, and not used
    CELERY_BROKER_TRANSPORT = "riskplatform.file_broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = prepare_broker_folders(VAR_DIR / "broker")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "riskplatform.beat:Scheduler"
# Each run is written down at once: the health check of beat reads it.
CELERY_BEAT_SYNC_EVERY = 1
CELERY_RESULT_EXPIRES = None  # None are kept: beat needs no task of Celery's that forgets them.

# --- Days for which drift checks are kept, and personal data after an entity's last event (0: all)
DRIFT_KEPT_DAYS = env.whole("RISK_DRIFT_KEPT_DAYS", default=90, least=1, most=MOST_DAYS)
RETENTION_DAYS = env.whole("RISK_RETENTION_DAYS", default=0, least=0, most=MOST_DAYS)

# --- Sanctions lists (docs/screening.md) --------------------------------------------------------
# How old a reading may be before it is told as stale, 0 for any age. It decides nothing.
WATCHLIST_STALE_DAYS = env.whole("RISK_WATCHLIST_STALE_DAYS", default=7, least=0, most=MOST_DAYS)

# --- The queue (docs/queue.md) -----------------------------------------------------------------
ALERT_LOCK_MINUTES = env.number(
    "RISK_ALERT_LOCK_MINUTES", default=10.0, least=0.01, most=MOST_MINUTES
)
ALERT_LOCKS_PER_USER = env.whole("RISK_ALERT_LOCKS_PER_USER", default=5, least=1, most=1000)
ALERT_SKIP_MINUTES = env.number(
    "RISK_ALERT_SKIP_MINUTES", default=30.0, least=0.01, most=MOST_MINUTES
)
ALERT_UNDO_MINUTES = env.number(
    "RISK_ALERT_UNDO_MINUTES", default=10.0, least=0.01, most=MOST_MINUTES
)

# --- Notifications (docs/notifications.md) ----------------------------------------------------
_home = LOCAL_HOME if EMBEDDED else home_of(ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS)
SITE_URL = env("RISK_SITE_URL", default=_home)  # where links in messages lead
EMAIL_HOST = env("EMAIL_HOST", default="")  # empty: no e-mail is sent, and the pages say so
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", default=False)
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
_port = 465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25
EMAIL_PORT = env.whole("EMAIL_PORT", default=_port, least=1, most=65535)
EMAIL_HOST_USER = env("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD", default="")
EMAIL_TIMEOUT = env.whole("EMAIL_TIMEOUT", default=10, least=1, most=600)
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="Risk platform <risk@localhost>")
# Networks of our own that routes may reach: 10.1.2.0/24,127.0.0.1/32
NOTIFY_NETWORKS = env.networks("RISK_NOTIFY_NETWORKS")
NOTIFY_PORTS = env.ports("RISK_NOTIFY_PORTS", default=["443"])
NOTIFY_SECONDS = env.number("RISK_NOTIFY_SECONDS", default=10.0, least=0.1, most=60.0)
NOTIFICATIONS_KEPT_DAYS = env.whole(
    "RISK_NOTIFICATIONS_KEPT_DAYS", default=90, least=1, most=MOST_DAYS
)
if not re.fullmatch(r"https?://[^\s/?#*]+/?", SITE_URL):
    raise ImproperlyConfigured(
        "RISK_SITE_URL must be like https://risk.example.com, without a path."
    )
if EMAIL_USE_SSL and EMAIL_USE_TLS:
    raise ImproperlyConfigured("EMAIL_USE_SSL and EMAIL_USE_TLS exclude each other.")

# --- Second looks (docs/second_looks.md) -------------------------------------------------------
# Which share of the labelled alerts a second analyst judges too, without seeing the first outcome.
SECOND_LOOK_SHARE = env.number("RISK_SECOND_LOOK_SHARE", default=0.05, least=0.0, most=1.0)
SECOND_LOOK_MINUTES = env.number(
    "RISK_SECOND_LOOK_MINUTES", default=30.0, least=0.01, most=MOST_MINUTES
)

# --- People ----------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "queue"
LOGOUT_REDIRECT_URL = "login"
# How long a link that sets a password works (accounts/password_links.py), seconds.
PASSWORD_RESET_TIMEOUT = 24 * 3600
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),  # PCI DSS 4.0, 8.3.6
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]

# --- Models (docs/promotion.md) --------------------------------------------------------------
# Off: whoever asks for a promotion may decide it alone. Every page and the audit trail say so.
FOUR_EYES = env.flag("RISK_FOUR_EYES", default=True)
# How many challengers of a detector score live traffic in shadow, and how long that is kept.
SHADOW_MOST = env.whole("RISK_SHADOW_MOST", default=2, least=0, most=10)
SHADOW_KEEP_DAYS = env.whole("RISK_SHADOW_KEEP_DAYS", default=60, least=1, most=MOST_DAYS)

# --- Cases (docs/cases.md) --------------------------------------------------------------------
# At more risk than this, in the common currency, closing takes two people; empty: never. A team
# queue may have a limit of its own. Without a declared rate each currency is held to the number.
_limit = env("RISK_CASE_APPROVAL_LIMIT", default="50000").strip()
try:
    CASE_APPROVAL_LIMIT = Decimal(_limit) if _limit else None
except InvalidOperation as error:
    raise ImproperlyConfigured("RISK_CASE_APPROVAL_LIMIT must be a number or empty.") from error
if CASE_APPROVAL_LIMIT is not None and not (
    CASE_APPROVAL_LIMIT.is_finite() and CASE_APPROVAL_LIMIT >= 0
):
    raise ImproperlyConfigured("RISK_CASE_APPROVAL_LIMIT must be 0 or more, or empty.")
# What rates convert into (cases/exchange_rates.py).
COMMON_CURRENCY = env("RISK_COMMON_CURRENCY", default="EUR").strip()
if not re.fullmatch("[A-Z]{3}", COMMON_CURRENCY):
    raise ImproperlyConfigured("RISK_COMMON_CURRENCY must be three capital letters such as EUR.")
ATTACHMENT_DIR = Path(env("RISK_ATTACHMENT_DIR", default=str(VAR_DIR / "attachments"))).resolve()
ATTACHMENT_MAX_BYTES = env.whole(
    "RISK_ATTACHMENT_MAX_BYTES", default=20 * 1024 * 1024, least=1, most=60 * 1024 * 1024
)

# --- API -------------------------------------------------------------------------------------
API_MAX_BODY_BYTES = env.whole(
    "API_MAX_BODY_BYTES", default=2 * 1024 * 1024, least=1024, most=256 * 1024 * 1024
)
DATA_UPLOAD_MAX_MEMORY_SIZE = API_MAX_BODY_BYTES
# Bundles come as files (models_registry/bundle_files.py bounds them to 64 MB themselves).
UPLOAD_MAX_BYTES = 65 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "riskplatform.uploads.BoundedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
# How long a process trusts a key that it found valid, without asking the database again.
API_KEY_CACHE_SECONDS = env.number("API_KEY_CACHE_SECONDS", default=1.0, least=0.0, most=3600.0)
# What everybody may ask for who comes by token or session; keys have a rate of their own.
API_USER_RATE = env.rate("API_USER_RATE", default=DEFAULT_RATE)
# Tokens of people who log in over the API (accounts/tokens.py), seconds.
JWT_ACCESS_SECONDS = env.whole(
    "JWT_ACCESS_SECONDS", default=15 * 60, least=1, most=MOST_DAYS * 86_400
)
JWT_REFRESH_SECONDS = env.whole(
    "JWT_REFRESH_SECONDS", default=12 * 3600, least=1, most=MOST_DAYS * 86_400
)
# From the password to the end of the last token that refreshing can give.
JWT_SESSION_SECONDS = env.whole(
    "JWT_SESSION_SECONDS", default=7 * 24 * 3600, least=1, most=MOST_DAYS * 86_400
)
if not JWT_ACCESS_SECONDS <= JWT_REFRESH_SECONDS <= JWT_SESSION_SECONDS:
    raise ImproperlyConfigured(
        "JWT_ACCESS_SECONDS, JWT_REFRESH_SECONDS and JWT_SESSION_SECONDS must rise."
    )
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.jwt_authentication.JwtAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["riskplatform.json_api.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["riskplatform.json_api.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "riskplatform.json_api.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = API_SCHEMA | {"VERSION": VERSION}

# --- Streams (docs/streaming.md) -------------------------------------------------------------
# RISK_KAFKA_TOPIC=... is {"topic": ...} here, and so on.
KAFKA, MQTT = env.beginning("RISK_KAFKA_"), env.beginning("RISK_MQTT_")
MQTT["tls"] = str(env.flag("RISK_MQTT_TLS", default=False))

# --- Tracking of versions by MLflow (docs/registry.md); empty: none ---------------------------
MLFLOW_TRACKING_URI = env("MLFLOW_TRACKING_URI", default="")

# --- Metrics (riskplatform/metrics.py) --------------------------------------------------------
METRICS_OPEN = env.flag("RISK_METRICS_OPEN", default=True)
METRICS_TOKEN = env("RISK_METRICS_TOKEN", default="")
METRICS_NETWORKS = env.networks("RISK_METRICS_NETWORKS")
# Files of the processes on this host alone: a folder shared by two would mix up their ids.
_chosen = env("PROMETHEUS_MULTIPROC_DIR", default=str(VAR_DIR / "prometheus") if EMBEDDED else "")
PROMETHEUS_DIR = Path(_chosen) if _chosen else own_temporary_folder("PROMETHEUS_MULTIPROC_DIR")
own_folder(PROMETHEUS_DIR, ours=False)
# Read by prometheus-client when it is imported, which is after the settings.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(PROMETHEUS_DIR)

# --- Static files, time, logs ----------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False  # One language: without catalogues numbers and ages are written faster.
LOGGING = logging_of(env.choice("LOG_LEVEL", default="INFO", of=LEVELS))
ENVIRONMENT = env("RISK_ENVIRONMENT", default="demo" if EMBEDDED else "production")
