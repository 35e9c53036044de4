"""A bound on uploads, before any of it is kept."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class BoundedUploadHandler(FileUploadHandler):
    """First in FILE_UPLOAD_HANDLERS: a body over UPLOAD_MAX_BYTES is refused unread."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: Mapping[str, Any],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Raises RequestDataTooBig."""
        if content_length > settings.UPLOAD_MAX_BYTES:
            raise RequestDataTooBig(f"More than {settings.UPLOAD_MAX_BYTES} bytes.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Leave it to the handlers after this one."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Those after this one make the file."""
