"""What every implementation must be able to do, property by property; the tests and `bitbench check` ask for the same.

This file imports no torch: it says in words what the modules beside it ask, and of which schemes.
"""

import itertools

from bitlinear.scheme import Scheme

SCHEMES: tuple[Scheme, ...] = tuple(
    Scheme(weight_bits, activation_bits, groups, norm)
    for weight_bits, groups, norm, activation_bits in itertools.product(
        (1, 1.58, 2, 3, 4, 8), (1, 2, 5), (False, True), (8, 4, 16)
    )
)
"""Every number of weight bits that kernels are written for, with plain and grouped, normalised and raw activations."""

PROPERTIES: dict[str, str] = {
    "why_not": "says in a sentence why it cannot run, and never raises when asked",
    "sizes": "builds a layer of any size, 1 and odd ones included, and agrees with the contract",
    "schemes": "agrees with the contract for every scheme that it offers, with and without bias",
    "shapes": "takes input of shape (K,), (M, K) and (B, T, K), and no token at all",
    "dtypes": "takes float32, bfloat16, float16 and float64 and answers in kind, or says why not",
    "strides": "takes input that is not contiguous",
    "zeros": "takes tokens of zeros",
    "outliers": "takes tokens with one loud channel",
    "nonfinite": "keeps NaN and infinity in their own tokens",
    "input": "leaves its input alone",
    "weights": "leaves its weights alone once it has been called",
    "memory": "returns outputs that share no memory with anything",
    "history": "depends on the values of its input alone, not on earlier ones in the same place",
    "repeatable": "returns the same bits for the same input",
    "modes": "returns the same bits in inference mode, without and with gradients enabled",
    "layer": "neither changes the layer that it was built from nor depends on it afterwards",
    "state_dict": "gets all that it computes with from its state_dict",
    "deepcopy": "can be copied by copy.deepcopy, and the copy is independent",
    "wrong_size": "raises an error that says so when the last dimension is wrong",
    "wrong_dtype": "raises an error that says so when the input is not floating point",
    "threads": "may be called by several threads at once",
    "compile": "is kept in one graph by torch.compile(fullgraph=True)",
}
"""Name to the sentence that an implementation which has the property deserves, in the order in which to ask."""

INFORMATIVE = frozenset({"compile"})
"""Worth knowing, and required of nobody."""
