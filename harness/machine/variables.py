"""Variables of the environment that change what is measured, and that no other field of a run tells of.

glibc reads MALLOC_* (mallopt(3)), the loader LD_PRELOAD (ld.so(8)), OpenMP OMP_* (OpenMP 5.2, chapter 21) and its
libraries GOMP_* and KMP_*, MKL MKL_*. MALLOC_TRIM_THRESHOLD_ alone, which Dask's nanny sets, made elementwise
operations of torch 1.8 to 3.8 times slower.
"""

import os
import re
from collections.abc import Mapping

FAMILIES = ("MALLOC_", "OMP_", "MKL_", "GOMP_", "KMP_", "OPENBLAS_")
NAMES = ("LD_PRELOAD", "GLIBC_TUNABLES")
LONGEST = 200
"""Characters of a value that are kept."""


def telling(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those that are set, sorted by name. Files are named without their folders: a run holds no path."""
    set_here = {name: text for name, text in environ.items() if name.startswith(FAMILIES) or name in NAMES}
    return {name: _without_folders(set_here[name])[:LONGEST] for name in sorted(set_here)}


def _without_folders(text: str) -> str:
    return re.sub(r"[^\s:;,=]*/", "", text)
