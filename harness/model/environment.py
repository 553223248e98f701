"""The machine that a run was made on, and what must agree before latencies of two may be compared."""

import msgspec

from harness.model.record import Amount, Count


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What machine this is. Holds no host name, user name or path."""

    cpu_model: str = "unknown"
    instruction_sets: tuple[str, ...] = ()
    cores_physical: Count = 0
    cores_logical: Count = 0
    affinity: Count = 0
    """How many logical cores this process may run on."""
    governor: str = "unknown"
    memory_bytes: Count = 0
    operating_system: str = "unknown"
    python: str = "unknown"
    torch: str = "unknown"
    blas: str = "unknown"
    torch_threads: Count = 0
    gpu: str = "none"
    driver: str = "none"
    load_average: Amount = 0.0
    """One-minute load average when the run started."""
    machine: str = ""
    """Tells machines apart that are alike otherwise, and says nothing of them; empty where it is not known."""
    labels: dict[str, str] = {}
    """What its owner says of the machine, as in rack=3."""
    variables: dict[str, str] = {}
    """Those that were set of the variables that change how memory is given out and how threads compute."""


COMPARABLE_FIELDS: tuple[str, ...] = (
    "cpu_model",
    "instruction_sets",  # a hypervisor may hide some of the model's
    "cores_physical",
    "cores_logical",
    "affinity",
    "governor",
    "operating_system",  # its name
    "python",  # up to the minor version: an eager call spends its overhead there
    "torch",
    "blas",
    "gpu",
    "driver",
)
"""Fields of `Environment` that must agree before two latencies may be compared.

Left out: `memory_bytes` (a run that fits is no faster with more, and firmware keeps a varying share of it), the
kernel's release (patched so often that no baseline would last), `torch_threads` (every case names its own threads, and
only like cases are matched), `load_average` (it changes by the minute; interleaving is the answer to it), `machine` and
`labels` (machines of one kind are comparable) and `variables` (most change nothing here; whoever reads is warned).
"""


def differences(a: Environment, b: Environment) -> tuple[str, ...]:
    """Why latencies of `a` and `b` may not be compared, one `field: this vs that` each; empty when they may be."""
    sides = ((field, _told(field, a, b), _told(field, b, a)) for field in COMPARABLE_FIELDS)
    return tuple(f"{field}: {this} vs {that}" for field, this, that in sides if this != that)


def is_elsewhere(a: Environment, b: Environment) -> bool:
    """Whether `a` and `b` are known to be two machines, alike or not."""
    return bool(a.machine and b.machine) and a.machine != b.machine


def comparable(environment: Environment) -> tuple[str, ...]:
    """The fields that `differences` compares, as it compares them: equal tuples mean alike machines."""
    return tuple(_told(field, environment, Environment()) for field in COMPARABLE_FIELDS)


def _told(field: str, environment: Environment, other: Environment) -> str:
    """What `differences` compares and prints of one field."""
    match field:
        case "operating_system":
            return environment.operating_system.partition(" ")[0]
        case "python":
            return ".".join(environment.python.split(".")[:2])
        case "instruction_sets":  # the shared ones would hide the one that differs
            shared = set(environment.instruction_sets) & set(other.instruction_sets)
            return " ".join(name for name in environment.instruction_sets if name not in shared) or "none besides"
    return str(getattr(environment, field))


def labels_in_words(at: Environment) -> str:
    """As they are given, `rack=3, room=b`; empty without any."""
    return ", ".join(f"{name}={value}" for name, value in at.labels.items())


def variables_doubt(at: Environment) -> str:
    """What to know of the variables that were set, in one sentence; empty where none was."""
    if not at.variables:
        return ""
    were_set = ", ".join(f"{name}={value}" for name, value in at.variables.items())
    return (
        f"measured with {were_set}: they may change how memory is given out and how threads compute;"
        " unset them, or compare only with runs that had the same"
    )


def machine_name(at: Environment) -> str:
    """The same of every run on it: what it is, and with what software."""
    cores = f"{at.affinity or at.cores_logical} of {at.cores_logical} cores" if at.cores_logical else "unknown"
    parts = (
        ("", at.cpu_model),
        ("", cores),
        ("governor ", at.governor),
        ("GPU ", at.gpu),
        ("", at.operating_system),
        ("Python ", at.python),
        ("torch ", at.torch),
        ("", at.blas),
    )
    return "; ".join(f"{what}{value}" for what, value in parts if value not in ("unknown", "none"))
