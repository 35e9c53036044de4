"""Time-ordered identifiers, so that new rows land at the end of an index (RFC 9562, version 7)."""

import secrets
import uuid


def uuid7(milliseconds: int) -> uuid.UUID:
    """A UUID of version 7 for a time in milliseconds since 1970; the rest is random."""
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | secrets.randbits(74)
    random_a = (value >> 62) & 0xFFF
    value = (value & ~(0xFFFF << 64)) | (0x7000 | random_a) << 64
    return uuid.UUID(int=(value & ~(0xC000 << 48)) | (0x8000 << 48))
