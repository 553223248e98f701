"""Models that come with the project: a configuration each, and the products that transformers makes of it.

`configurations/NAME.json` is a `config.json` of numbers and names. `configurations/NAME.products.json` is what
`python docs/experiments/models/shipped.py` made of it, so that a name works without transformers.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.model.whole_model import WholeModel

FOLDER = Path(__file__).parent / "configurations"
MADE = ".products.json"


def names() -> list[str]:
    """Of all, sorted."""
    return sorted(path.name.removesuffix(MADE) for path in FOLDER.glob(f"*{MADE}"))


def model(name: str) -> WholeModel:
    """The model of that name, which is one of `names`."""
    return msgspec.json.decode((FOLDER / f"{name}{MADE}").read_bytes(), type=WholeModel)


def models() -> Iterator[WholeModel]:
    """All of them, by name."""
    return map(model, names())


def configuration(name: str) -> Path:
    """The `config.json` of that name."""
    return FOLDER / f"{name}.json"
