"""Lend scikit-learn's OpenMP library to LightGBM where the system has none.

LightGBM's Linux wheel asks the loader for `libgomp.so.1` and does not bring it; scikit-learn's
wheel brings one under another name. A link in `<venv>/lib/openmp`, which the Makefile puts on
LD_LIBRARY_PATH, saves a newcomer an `apt-get install libgomp1`. Does nothing elsewhere.
"""

import ctypes
import sys
import sysconfig
from pathlib import Path

NAME = "libgomp.so.1"


def system_has_openmp() -> bool:
    """Whether the loader finds the library by its plain name."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True


def link_openmp(site_packages: Path, folder: Path) -> Path | None:
    """Link scikit-learn's copy into `folder`; None when the wheel carries no such library."""
    copies = sorted((site_packages / "scikit_learn.libs").glob("libgomp-*.so*"))
    if not copies:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / NAME
    link.unlink(missing_ok=True)
    link.symlink_to(copies[0])
    return link


if __name__ == "__main__" and sys.platform == "linux" and not system_has_openmp():
    link_openmp(Path(sysconfig.get_paths()["purelib"]), Path(sys.prefix) / "lib" / "openmp")
