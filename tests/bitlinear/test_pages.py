"""Large packed weights lie in huge pages, whichever way a layer has come to be."""

import copy
import io
import mmap
import re
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from bitlinear import BitLinear
from bitlinear.engines.native import NativeLinear
from bitlinear.layouts.pages import HUGE_PAGE

pytestmark = pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="huge pages are asked for on Linux")
SIDE = 4096
"""A weight of so many features fills two pages."""


@pytest.fixture(scope="module")
def op():
    return NativeLinear.from_layer(BitLinear(SIDE, SIDE, weight_bits=1.58))


def loaded(op):
    written = io.BytesIO()
    torch.save(op.state_dict(), written)
    written.seek(0)
    other = NativeLinear(SIDE, SIDE, op.scheme)
    other.load_state_dict(torch.load(written))
    return other


def is_advised(address):
    """Whether the mapping at an address has the flag of MADV_HUGEPAGE."""
    mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)
    for mapping in mappings[1:]:
        start, end = (int(word, 16) for word in mapping.split(" ", 1)[0].split("-"))
        if start <= address < end:
            return "hg" in mapping.rpartition("VmFlags:")[2].split()
    return False


@pytest.mark.parametrize("way", [lambda op: op, copy.deepcopy, loaded], ids=["from_layer", "deepcopy", "load"])
def test_large_weights_are_in_huge_pages(op, way):
    codes = way(op).codes
    assert codes.data_ptr() % HUGE_PAGE == 0
    assert is_advised(codes.data_ptr())
    assert codes.untyped_storage().nbytes() == codes.nbytes
    assert torch.equal(codes, op.codes)


def test_a_copy_has_weights_of_its_own(op):
    other, x = copy.deepcopy(op), torch.randn(2, SIDE)
    expected = op(x)
    assert torch.equal(other(x), expected)
    other.codes.zero_()
    assert torch.equal(op(x), expected)


def test_copies_of_tied_layers_stay_tied(op):
    model = torch.nn.ModuleList([op, NativeLinear(SIDE, SIDE, op.scheme, device="meta")])
    model[1].codes = op.codes
    first, second = copy.deepcopy(model)
    assert first.codes is second.codes
    assert first.codes is not op.codes


@pytest.mark.parametrize("mode", [lambda: torch.device("meta"), FakeTensorMode], ids=["meta", "fake"])
def test_a_layer_without_memory_takes_none(mode):
    with mode():
        op = NativeLinear(1 << 16, 1 << 20, "w2a8")
    assert op.codes.shape[0] == 1 << 16
