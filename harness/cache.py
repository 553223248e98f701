"""How much memory the processor's caches hold."""

from pathlib import Path

PROCESSOR = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN = 32 << 20
"""Bytes taken for the last-level cache where the system does not tell: as large as most are."""
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def last_level_cache(directory: Path = PROCESSOR) -> int:
    """Bytes of the largest cache that the first core sees, as Linux tells; `UNKNOWN` where nothing does."""
    return max((_bytes(path.read_text()) for path in directory.glob("index*/size")), default=UNKNOWN)


def _bytes(text: str) -> int:
    """As the kernel writes it: `32768K`."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    return int(number) * UNITS[unit]
