"""Scheme: what is quantised to how many bits, in how many groups. Imports no torch."""

import re
from dataclasses import dataclass, replace

WEIGHT_BITS: tuple[float, ...] = (1, 1.58, 2, 3, 4, 5, 6, 7, 8, 16)
ACTIVATION_BITS = range(2, 17)
FULL_PRECISION = 16
"""The number of bits that stands for "not quantised", for weights and for activations."""

_PATTERN = re.compile(r"w(?P<w>\d+(?:\.\d+)?)a(?P<a>\d+)(?:g(?P<g>\d+)|gs(?P<gs>\d+))?(?P<nonorm>-nonorm)?", re.ASCII)


@dataclass(frozen=True)
class Scheme:
    """The numerical recipe of one BitLinear, written `w1.58a8`, `w1a8g4`, `w4a8-nonorm`; 16 bits are full precision.

    Groups are given by their number, or by their size for layers of any width: `w4a8gs64` has 64 inputs a group, and
    `for_features(576)` makes `w4a8g9` of it, the scheme of one layer. Layers have a number of groups.

    Raises ValueError for a number of bits or groups that the contract does not know.
    """

    weight_bits: float = 1
    """1 (sign), 1.58 (ternary, log2 3 bits), 2..8 (symmetric absmax), 16 (not quantised)."""
    activation_bits: int = 8
    """2..15 (symmetric absmax), 16 (not quantised)."""
    groups: int = 1
    """Parts of the input features that are normalised and scaled separately."""
    norm: bool = True
    """Group-normalise the input first."""
    features_per_group: int | None = None
    """The group size, in place of the number of groups, until the input features are known; None: `groups` says it."""

    def __post_init__(self) -> None:
        if isinstance(self.weight_bits, bool) or self.weight_bits not in WEIGHT_BITS:
            raise ValueError(f"weight_bits={self.weight_bits!r}; choose from {', '.join(map(str, WEIGHT_BITS))}")
        _require_whole("activation_bits", self.activation_bits)
        if self.activation_bits not in ACTIVATION_BITS:
            raise ValueError(f"activation_bits={self.activation_bits!r}; choose from 2 to 16 (16: not quantised)")
        _require_whole("groups", self.groups)
        if self.groups < 1:
            raise ValueError(f"groups={self.groups}; give 1 or more")
        if self.features_per_group is not None:
            self._require_group_size(self.features_per_group)
        if not isinstance(self.norm, bool):
            raise ValueError(f"norm={self.norm!r}; give True or False")
        if self.weight_bits != 1.58:
            object.__setattr__(self, "weight_bits", int(self.weight_bits))  # 4.0 and 4 are one scheme, written "w4"

    @classmethod
    def parse(cls, text: str) -> "Scheme":
        """The scheme that `text` writes, the inverse of `str(scheme)`. Raises ValueError for any other text."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                f"not a scheme: {text!r}; write w<weight bits>a<activation bits>, then optionally g<groups> or "
                f"gs<group size>, and -nonorm: w1.58a8, w1a8g4, w4a8gs64, w4a8-nonorm"
            )
        size = int(match["gs"]) if match["gs"] else None
        return cls(float(match["w"]), int(match["a"]), int(match["g"] or 1), not match["nonorm"], size)

    @classmethod
    def of(cls, scheme: "Scheme | str") -> "Scheme":
        """`scheme` itself, or the one that a text writes. Raises TypeError for anything else, ValueError as `parse`."""
        if isinstance(scheme, str):
            return cls.parse(scheme)
        if not isinstance(scheme, cls):
            raise TypeError(f"scheme={scheme!r} is a {type(scheme).__name__}; give a Scheme, or a text like 'w1.58a8'")
        return scheme

    def __str__(self) -> str:
        groups = f"g{self.groups}" if self.groups > 1 else ""
        size = f"gs{self.features_per_group}" if self.features_per_group else ""
        return f"w{self.weight_bits}a{self.activation_bits}{groups}{size}{'' if self.norm else '-nonorm'}"

    def for_features(self, in_features: int) -> "Scheme":
        """The scheme of a layer of that width, which has a number of groups: `w4a8g9` of `w4a8gs64` and 576.

        Raises ValueError when the groups do not divide `in_features`.
        """
        size = self.group_size(in_features)
        if self.features_per_group is None:
            return self
        return replace(self, groups=in_features // size, features_per_group=None)

    def divides(self, in_features: int) -> bool:
        """Whether a layer of that width can have these groups."""
        return in_features % (self.features_per_group or self.groups) == 0

    @property
    def grouping(self) -> str:
        """How the groups were given, in words."""
        return f"a group size of {self.features_per_group}" if self.features_per_group else f"groups={self.groups}"

    def group_size(self, in_features: int) -> int:
        """Input features per group. Raises ValueError when the groups do not divide `in_features`."""
        if not self.divides(in_features):
            raise ValueError(
                f"in_features={in_features} is not divisible by {self.grouping}; choose a divisor of {in_features}"
            )
        return self.features_per_group or in_features // self.groups

    def _require_group_size(self, size: int) -> None:
        _require_whole("features_per_group", size)
        if size < 1:
            raise ValueError(f"features_per_group={size}; give 1 or more")
        if self.groups != 1:
            raise ValueError(f"groups={self.groups} and features_per_group={size}; give one of them")


def largest_code(bits: float) -> int:
    """`Qb = 2^(b-1) - 1` of the absmax quantisers, 127 for 8 bits; 1 for one-bit and ternary codes."""
    return int(2 ** (int(bits) - 1) - 1) if bits >= 2 else 1


def _require_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name}={value!r} is not a whole number")
