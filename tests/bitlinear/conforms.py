"""One output held against the contract, with the tolerance that its implementation promises."""

import torch


def assert_conforms(implementation, layer, op, x):
    before = x.clone()
    y = op(x)
    where = f"{implementation.name} {layer} {tuple(x.shape)} {x.dtype}"
    assert y.shape == (*x.shape[:-1], layer.out_features), where
    assert y.dtype == x.dtype, where
    assert torch.equal(x.isnan(), before.isnan()), where
    assert torch.equal(x.nan_to_num(), before.nan_to_num()), where
    tolerance = implementation.tolerance(layer.scheme, x.dtype, layer.in_features)
    expected = implementation.expected(layer, x)
    assert implementation.disagreement(layer, x, expected, y) <= tolerance.relative, f"{where}: {tolerance.reason}"
