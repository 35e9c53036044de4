"""Give memory back to the system after work that needed much of it for a moment."""

import ctypes
import ctypes.util


def give_back() -> None:
    """What was freed since goes back, where the C library can do that (glibc); else nothing."""
    if _trim is not None:
        _trim(0)


def _find_trim() -> "ctypes._NamedFuncPointer | None":
    name = ctypes.util.find_library("c")
    library = ctypes.CDLL(name) if name else None
    return getattr(library, "malloc_trim", None)


_trim = _find_trim()
