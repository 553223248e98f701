"""PackedLinear: exact, small all the time, and the same after it was saved and loaded."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bitlinear import BitLinear, PackedLinear, Scheme
from bitlinear.contract import accumulators, contract_forward
from bitlinear.engines.packed import BLOCK_BYTES
from bitlinear.layouts.packing import BASE3, PACKINGS

SCHEMES = ["w1a8", "w1.58a8g2", "w2a4", "w3a8g4-nonorm", "w4a8", "w5a8", "w6a8g2", "w7a16", "w8a8-nonorm"]
packed_layers = pytest.mark.parametrize(
    ("scheme", "packing"), [(scheme, None) for scheme in SCHEMES] + [("w1.58a8", BASE3), ("w2a8g4", BASE3)]
)


class Sizes(TorchDispatchMode):
    """The largest tensor, in elements, that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **kwargs or {})
        self.largest = max([self.largest, *(leaf.numel() for leaf in tree_leaves(out) if torch.is_tensor(leaf))])
        return out


def layer_of(scheme, in_features=100, out_features=33, **options):
    scheme = Scheme.parse(scheme)
    return BitLinear(
        in_features,
        out_features,
        scheme.groups,
        weight_bits=scheme.weight_bits,
        activation_bits=scheme.activation_bits,
        norm=scheme.norm,
        **options,
    )


def empty_like(packed, device=None):
    return PackedLinear(
        packed.in_features,
        packed.out_features,
        packed.scheme,
        packing=packed.packing,
        bias=packed.bias is not None,
        device=device,
    )


def relative_error(expected, y):
    return ((expected - y).norm() / expected.norm()).item()


@packed_layers
def test_a_layer_survives_a_file(scheme, packing, tmp_path):
    packed, x = PackedLinear.from_layer(layer_of(scheme, bias=True), packing), torch.randn(5, 100)
    save_file(packed.state_dict(), tmp_path / "layer.safetensors")
    loaded, assigned = empty_like(packed), empty_like(packed, "meta")
    assert loaded(x).count_nonzero() == 0
    loaded.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    assigned.load_state_dict(load_file(tmp_path / "layer.safetensors"), assign=True)
    for other in (loaded, assigned, copy.deepcopy(packed)):
        assert torch.equal(other(x), packed(x))


@pytest.mark.parametrize("scheme", ["w1a8", "w1.58a8", "w4a8"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_loading_makes_no_tensor_as_large_as_the_weight(scheme, device, tmp_path):
    packed = PackedLinear.from_layer(layer_of(scheme, 256, 128))
    save_file(packed.state_dict(), tmp_path / "layer.safetensors")
    with Sizes() as sizes:
        loaded = empty_like(packed, device)
        loaded.load_state_dict(load_file(tmp_path / "layer.safetensors"), assign=device == "meta")
    assert loaded.codes.numel() <= sizes.largest < 256 * 128
    with Sizes() as sizes:
        PackedLinear.from_layer(layer_of(scheme, 256, 128))
    assert sizes.largest >= 256 * 128  # building does, so loading would be seen to


def test_a_forward_unpacks_blocks_and_never_the_weight():
    packed = PackedLinear(2560, 2560, Scheme(1.58))
    with Sizes() as sizes:
        packed(torch.randn(3, 2560))
    assert BLOCK_BYTES // 4 * 0.9 < sizes.largest <= BLOCK_BYTES // 4 < 2560 * 2560


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("bits", "packing"), [*PACKINGS.items(), (1.58, BASE3)])
def test_inner_sums_are_exact_far_beyond_two_to_the_24(bits, packing, groups):
    layer = layer_of(f"w{bits}a8g{groups}-nonorm", 10_000, 70)  # several blocks, the last one not of whole tiles
    layer.weight.data = torch.rand(70, 10_000) + 5  # codes near the largest, all of one sign
    x = torch.rand(4, 10_000) + 5
    packed = PackedLinear.from_layer(layer, packing)
    a, _ = packed.quantise(x)
    packed.scale.fill_(1)
    sums = packed.product(a, torch.ones(4, groups, 1, dtype=torch.float64))
    assert torch.equal(sums.long(), accumulators(layer, x).sum(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_conversion_leaves_codes_and_scale_alone(dtype):
    packed, x = PackedLinear.from_layer(layer_of("w4a8g2-nonorm", bias=True)), torch.randn(5, 100)
    kept = {"codes": packed.codes.clone(), "scale": packed.scale.clone()}
    packed.bias.zero_()
    y = packed(x)
    assert packed.to(dtype).bias.dtype == dtype
    for name, buffer in kept.items():
        assert torch.equal(getattr(packed, name), buffer)
    assert torch.equal(packed(x), y)
    assert packed(x.to(dtype)).dtype == dtype
    assert packed.to_empty(device="meta").scale.dtype == torch.float32


def test_a_layer_of_doubles_keeps_its_scale_in_doubles():
    layer, x = layer_of("w4a8-nonorm", dtype=torch.float64), torch.randn(5, 100, dtype=torch.float64)
    packed = PackedLinear.from_layer(layer).float()
    assert packed.scale.dtype == torch.float64
    assert relative_error(contract_forward(layer, x), packed(x)) < 1e-15


def test_it_is_one_graph_exports_and_ignores_autocast():
    packed, x = PackedLinear.from_layer(layer_of("w3a8g2", bias=True)), torch.randn(5, 100, requires_grad=True)
    y = packed(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(packed(x), y)
    assert torch.equal(torch.compile(packed, fullgraph=True, backend="eager")(x), y)
    assert torch.equal(torch.export.export(packed, (x.detach(),)).module()(x.detach()), y)


def test_bad_arguments_and_input_are_named():
    with pytest.raises(ValueError, match="in_features=0, out_features=20; both must be 1 or more"):
        PackedLinear(0, 20, Scheme())
    with pytest.raises(ValueError, match="in_features=10 is not divisible by groups=3"):
        PackedLinear(10, 20, Scheme(groups=3))
    with pytest.raises(ValueError, match="weight_bits=16 has no codes to pack; keep the BitLinear"):
        PackedLinear(10, 20, Scheme(16))
    for bits, packing in [(3, BASE3), (1.58, PACKINGS[1])]:
        with pytest.raises(ValueError, match=rf"does not have the codes of weight_bits={bits}; leave the choice"):
            PackedLinear(10, 20, Scheme(bits), packing=packing)
    packed = PackedLinear(10, 20, Scheme())
    with pytest.raises(ValueError, match=r"shape \(4, 20\); its last dimension must be in_features=10"):
        packed(torch.randn(4, 20))
    with pytest.raises(TypeError, match=r"dtype torch\.int64; give a floating-point tensor"):
        packed(torch.ones(4, 10, dtype=torch.int64))


def test_codes_of_another_packing_are_not_read():
    layer = BitLinear(16, 6, weight_bits=1.58)
    dense, usual = PackedLinear.from_layer(layer, BASE3), PackedLinear.from_layer(layer)
    assert dense.codes.shape == usual.codes.shape  # so that nothing else tells them apart
    with pytest.raises(RuntimeError, match=r"scheme w1\.58a8 in Base3Packing\(.*\), and this layer has w1\.58a8;"):
        usual.load_state_dict(dense.state_dict())
    fresh, x = PackedLinear(16, 6, "w1.58a8", packing=BASE3), torch.randn(2, 16)
    fresh.load_state_dict(dense.state_dict())
    assert torch.equal(fresh(x), dense(x))
