"""Where the log goes, and what it says of requests."""

import logging
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logging_of(level: str) -> dict[str, Any]:
    """Django's LOGGING: everything from `level` on to the console, a line each."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
        "filters": {"refused": {"()": "riskplatform.logs.WithoutTracebacks"}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                # Here, not at a logger: what is refused is told under many names (django.request,
                # django.security.DisallowedHost, ...).
                "filters": ["refused"],
            }
        },
        "loggers": {
            "fontTools": {"level": "WARNING"},  # one line a glyph table of every PDF
        },
        "root": {"handlers": ["console"], "level": level},
    }


class WithoutTracebacks(logging.Filter):
    """A request that was refused (4xx) is one line: nothing of ours broke. A 5xx keeps all."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True
