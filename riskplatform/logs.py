"""What the log says of requests."""

import logging


class WithoutTracebacks(logging.Filter):
    """A request that was refused (4xx) is one line: nothing of ours broke. A 5xx keeps all."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True
