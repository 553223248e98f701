"""Who takes part: the contestants by name, those of installed packages, and how each gets into a model."""

import importlib
import sys
from pathlib import Path

import bitlinear

EARLIER = {"bitlinear.interface": "bitlinear.implementation", "bitlinear.peers.interface": "bitlinear.peer"}
"""Modules that the workloads import, and where they lie in revisions that a gate may have as its base."""

if not Path(str(bitlinear.__file__)).with_name("interface.py").exists():
    sys.modules.update({name: importlib.import_module(earlier) for name, earlier in EARLIER.items()})
