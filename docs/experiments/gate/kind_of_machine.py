"""What kind of machine a line of a record comes from, so that gates of several may stand in one record."""

from harness.machine.environment import machine

FIRST = "AMD EPYC, 2 cores, avx512_vnni"
"""Of lines that were written before the kind was."""


def kind_of_machine() -> str:
    """Model, usable cores and the instruction sets that decide which low-bit kernels run."""
    here = machine()
    sets = [name for name in here.instruction_sets if name in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8", "i8mm")]
    return f"{here.cpu_model}, {here.affinity} cores, {sets[-1] if sets else 'no such sets'}"
