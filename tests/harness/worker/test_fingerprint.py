"""What is said to be the same on both sides of a gate."""

import ctypes
import subprocess
from pathlib import Path

from harness.model.messages import TakeFingerprint
from harness.worker.fingerprint import loaded


def built(place: Path, answer: int) -> str:
    """The digest of a library that was compiled there with debug information, as Inductor and setuptools do."""
    place.mkdir()
    (place / "kernel.c").write_text(f"int answer(void) {{ return {answer}; }}")
    library = place / "kernel.so"
    subprocess.run(["cc", "-g", "-shared", str(place / "kernel.c"), "-o", str(library)], check=True)
    ctypes.CDLL(str(library))
    return loaded(TakeFingerprint(str(place), str(place.parent / "elsewhere"))).files["kernel.so"]


def test_a_library_is_its_code_and_not_the_place_where_it_was_built(tmp_path: Path) -> None:
    base = built(tmp_path / "base", 41)
    assert (tmp_path / "base" / "kernel.so").read_bytes().count(bytes(tmp_path)), "the place is in it"
    assert built(tmp_path / "head", 41) == base
    assert built(tmp_path / "next", 42) != base
