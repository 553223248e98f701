"""C gets addresses: what lies behind them is looked at by name, at every call."""

import pytest
import torch

from bitlinear import BitLinear
from bitlinear.engines.native import NativeLinear

X = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
CASTS = {
    "half": lambda t: t.half() if t.is_floating_point() else t,
    "double": lambda t: t.double() if t.is_floating_point() else t,
    "strided": lambda t: torch.stack([t, t], -1)[..., 0],
}


def op_of(seed=0, **options):
    torch.manual_seed(seed)
    return NativeLinear.from_layer(BitLinear(64, 16, **{"weight_bits": 4, "bias": True, **options}))


@pytest.mark.parametrize("cast", CASTS)
def test_a_state_that_was_cast_is_taken_in(cast):
    saved = op_of()
    op = NativeLinear(64, 16, "w4a8", bias=True, device="meta")
    op.load_state_dict({name: CASTS[cast](tensor) for name, tensor in saved.state_dict().items()}, assign=True)
    torch.testing.assert_close(op(X), saved(X), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["codes", "scale", "bias"])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda t: t.half() if t.is_floating_point() else t.to(torch.int16), id="dtype"),
        pytest.param(lambda t: t.repeat(2, *[1] * (t.dim() - 1)), id="shape"),
        pytest.param(lambda t: t[..., :0], id="too few"),
        pytest.param(lambda t: torch.stack([t, t], -1)[..., 0], id="strided"),
        pytest.param(lambda t: t.to("meta"), id="device"),
    ],
)
def test_a_buffer_that_does_not_fit_is_named(name, spoil):
    for put in (lambda op, t: setattr(op, name, t), lambda op, t: setattr(getattr(op, name), "data", t)):
        op = op_of()
        spoilt = spoil(getattr(op, name))
        try:
            put(op, spoilt)
        except RuntimeError:
            assert spoilt.is_meta  # torch itself does not let `.data` change the device
            continue
        with pytest.raises(ValueError, match=rf"the buffer '{name}'|input is on cpu, the layer on meta"):
            op(X)


def test_the_operator_refuses_what_the_layer_refuses():
    op = op_of()
    call = torch.ops.bitlinear.native_linear
    with pytest.raises(ValueError, match="the buffer 'codes'"):
        call(X[:, :32], op.codes, op.scale, op.bias, "w4a8", 16)
    with pytest.raises(ValueError, match="the buffer 'codes'"):
        call(X, op.codes, op.scale, op.bias, "w4a8", 17)
    with pytest.raises(ValueError, match="codes of at most 8 bits; w4a12 has larger ones"):
        call(X, op.codes, op.scale, op.bias, "w4a12", 16)
    with pytest.raises(TypeError, match="float8"):
        call(X.to(torch.float8_e5m2), op.codes, op.scale, op.bias, "w4a8", 16)
    y = torch.vmap(lambda scale: call(X, op.codes, scale, op.bias, "w4a8", 16))(op.scale.expand(2, 1, 16))
    assert torch.equal(y, op(X).expand(2, 3, 16))


def test_codes_need_not_be_aligned():
    op, y = op_of(), op_of()(X)
    shifted = torch.empty(op.codes.numel() + 1, dtype=torch.uint8)[1:].view(op.codes.shape).copy_(op.codes)
    op.codes = shifted
    assert torch.equal(op(X), y)


def test_memory_is_made_on_the_cpu_whatever_the_default_device():
    torch.manual_seed(0)
    op, x = NativeLinear.from_layer(BitLinear(2560, 4)), torch.randn(8, 2560)
    y = op(x)
    with torch.device("meta"):
        assert torch.equal(op(x), y)
