"""Triton kernels of `engines.triton.linear`. Importing this imports triton. The design: docs/how-it-works/triton.md.

Symbols are the contract's: `M` tokens, `N` output features, `G` groups of `KG` input features. Packed weights are as
`layouts.packing.BitPacking` writes them: `C = 8 / BITS` codes a byte and `J = ceil(KG / C)` bytes a group, of which
byte `j` holds, in the bits from `c * BITS` on, the code of input feature `c * J + j`, as the unsigned number `(code +
LARGEST) / STEP`. So a tile of bytes is loaded once, and each of its `C` planes meets neighbouring activations.
"""

import triton
import triton.language as tl

_TIE = tl.constexpr(12582912.0)
"""1.5 * 2^23. A float32 of magnitude up to 2^22 that is added to it is rounded to a whole number, half to even."""
_EPS = tl.constexpr(1e-5)


@triton.jit
def prepare(
    x, activations, scale, stride_m, stride_k, G, KG, NORM: tl.constexpr, TOP: tl.constexpr, BLOCK: tl.constexpr
):
    """Normalise and quantise one token's group: `x` `(M, K)` to `activations` `(M, G, KG)` and `scale` `(M, G)`.

    `TOP` is the largest code; 0 for activations that are not quantised, which have no scale. `BLOCK` features are taken
    at a time. A group that holds NaN or infinity gets the scale NaN, and zeros for codes.
    """
    program = tl.program_id(0).to(tl.int64)
    x += program // G * stride_m + program % G * KG * stride_k
    mean, inverse = 0.0, 1.0
    if NORM:
        mean, inverse = _moments(x, stride_k, KG, BLOCK)
    if TOP:
        factor, finite = _absmax(x, stride_k, KG, mean, inverse, TOP, BLOCK)
        tl.store(scale + program, factor)
    for first in range(0, KG, BLOCK):
        k = first + tl.arange(0, BLOCK)
        value = (tl.load(x + k * stride_k, mask=k < KG, other=0.0).to(tl.float32) - mean) * inverse
        if TOP:
            value = tl.where(finite, value * factor + _TIE - _TIE, 0.0)
        tl.store(activations + program * KG + k, value.to(activations.dtype.element_ty), mask=k < KG)


@triton.jit
def _moments(x, stride_k, KG, BLOCK: tl.constexpr):
    """Mean and `1 / sqrt(variance + eps)` of `KG` values, in two passes, so that nothing cancels."""
    total = tl.zeros([BLOCK], tl.float32)
    for first in range(0, KG, BLOCK):
        k = first + tl.arange(0, BLOCK)
        total += tl.load(x + k * stride_k, mask=k < KG, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / KG
    squares = tl.zeros([BLOCK], tl.float32)
    for first in range(0, KG, BLOCK):
        k = first + tl.arange(0, BLOCK)
        away = tl.where(k < KG, tl.load(x + k * stride_k, mask=k < KG, other=0.0).to(tl.float32) - mean, 0.0)
        squares += away * away
    return mean, tl.div_rn(1.0, tl.sqrt_rn(tl.sum(squares, axis=0) / KG + _EPS))


@triton.jit
def _absmax(x, stride_k, KG, mean, inverse, TOP: tl.constexpr, BLOCK: tl.constexpr):
    """The contract's scale of the normalised values, and whether all of them are finite: a maximum can lose a NaN."""
    peak = tl.zeros([BLOCK], tl.float32)
    infinite = tl.zeros([BLOCK], tl.int32)
    for first in range(0, KG, BLOCK):
        k = first + tl.arange(0, BLOCK)
        value = (tl.load(x + k * stride_k, mask=k < KG, other=0.0).to(tl.float32) - mean) * inverse
        value = tl.where(k < KG, tl.abs(value), 0.0)
        bounded = value < float("inf")
        peak = tl.maximum(peak, tl.where(bounded, value, 0.0))
        infinite += tl.where(bounded, 0, 1)
    finite = tl.sum(infinite, axis=0) == 0
    factor = tl.div_rn(1.0, tl.maximum(tl.max(peak, axis=0), _EPS)) * TOP  # torch divides a number in these two steps
    return tl.where(finite, factor, float("nan")), finite


@triton.jit(do_not_specialize=["tokens"])
def vector_sums(
    activations, packed, partial, tokens, N, KG, J, splits, length, G,
    BITS: tl.constexpr, STEP: tl.constexpr, LARGEST: tl.constexpr, BN: tl.constexpr, BJ: tl.constexpr,
):  # fmt: skip
    """Inner sums of one token and `BN` outputs over a part of a group, without tensor cores.

    `activations` `(M, G, KG)` and `packed` `(G, N, J)` to `partial` `(G, splits, M, N)`; a part is `length` bytes long.
    """
    tiles = tl.cdiv(N, BN)
    program = tl.program_id(0)
    n = program % tiles * BN + tl.arange(0, BN)
    m = program // tiles % tokens
    part = (program // tiles // tokens).to(tl.int64)
    group = part // splits
    first = (part % splits).to(tl.int32) * length
    last = tl.minimum(first + length, J)
    activations += (m * G + group) * KG
    weights = packed + (group * N + n) * J
    sums = tl.zeros([BN, BJ], partial.dtype.element_ty)
    for start in range(first, last, BJ):
        j = start + tl.arange(0, BJ)
        inside = (n < N)[:, None] & (j < last)[None, :]
        fields = tl.load(weights[:, None] + j[None, :], mask=inside, other=0)
        for plane in tl.static_range(8 // BITS):
            k = plane * J + j
            a = tl.load(activations + k, mask=(j < last) & (k < KG), other=0).to(sums.dtype)
            sums += _codes(fields, plane, BITS, STEP, LARGEST).to(sums.dtype) * a[None, :]
    tl.store(partial + (part * tokens + m) * N + n, tl.sum(sums, axis=1), mask=n < N)


@triton.jit(do_not_specialize=["tokens"])
def matrix_sums(
    activations, packed, partial, tokens, N, KG, J, splits, length, G,
    BITS: tl.constexpr, STEP: tl.constexpr, LARGEST: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BJ: tl.constexpr,
):  # fmt: skip
    """Inner sums of `BM` tokens and `BN` outputs over a part of a group, on tensor cores; tensors as `vector_sums`."""
    tiles_m, tiles_n = tl.cdiv(tokens, BM), tl.cdiv(N, BN)
    program = tl.program_id(0)
    m = program % tiles_m * BM + tl.arange(0, BM)
    n = program // tiles_m % tiles_n * BN + tl.arange(0, BN)
    part = (program // tiles_m // tiles_n).to(tl.int64)
    group = part // splits
    first = (part % splits).to(tl.int32) * length
    sums = tl.zeros([BM, BN], partial.dtype.element_ty)
    sums = _dot(
        sums, activations, packed, m, n, group, first, tl.minimum(first + length, J),
        tokens, N, KG, J, G, BITS, STEP, LARGEST, BJ,
    )  # fmt: skip
    inside = (m < tokens)[:, None] & (n < N)[None, :]
    tl.store(partial + (part * tokens + m[:, None]) * N + n[None, :], sums, mask=inside)


@triton.jit(do_not_specialize=["tokens"])
def matrix_product(
    activations, a_scale, packed, w_scale, bias, y, tokens, N, KG, J, G, stride_g, stride_n,
    CODES: tl.constexpr, BITS: tl.constexpr, STEP: tl.constexpr, LARGEST: tl.constexpr, BIAS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BJ: tl.constexpr,
):  # fmt: skip
    """`y` `(M, N)` for `BM` tokens and `BN` outputs: all groups on tensor cores, rescaled, with the bias.

    `activations` `(M, G, KG)` and `a_scale` `(M, G)`, which counts if they are `CODES`; `packed` `(G, N, J)` and
    `w_scale` `(G, N)`, in which one value a group has the stride 0; `bias` `(N,)`, which counts if there is a `BIAS`.
    """
    tiles_m = tl.cdiv(tokens, BM)
    program = tl.program_id(0)
    m = program % tiles_m * BM + tl.arange(0, BM)  # neighbours share weights, which are the larger of the operands
    n = program // tiles_m * BN + tl.arange(0, BN)
    total = tl.zeros([BM, BN], tl.float32)
    for group in range(G):
        sums = tl.zeros([BM, BN], tl.int32 if CODES else tl.float32)
        sums = _dot(sums, activations, packed, m, n, group, 0, J, tokens, N, KG, J, G, BITS, STEP, LARGEST, BJ)
        w = tl.load(w_scale + group * stride_g + n * stride_n, mask=n < N, other=0.0)[None, :]
        if CODES:
            a = tl.load(a_scale + m.to(tl.int64) * G + group, mask=m < tokens, other=1.0)[:, None]
            w, a = tl.broadcast(w, a)
            w = tl.div_rn(w, a)
        total += sums.to(tl.float32) * w
    if BIAS:
        total += tl.load(bias + n, mask=n < N, other=0.0).to(tl.float32)[None, :]
    inside = (m < tokens)[:, None] & (n < N)[None, :]
    tl.store(y + m.to(tl.int64)[:, None] * N + n[None, :], total.to(y.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["tokens"])
def finish(
    partial, a_scale, w_scale, bias, y, tokens, N, splits, G, stride_g, stride_n,
    CODES: tl.constexpr, BIAS: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Second stage of a split product: `partial` `(G, splits, M, N)` to `y` `(M, N)`, `BN` outputs of a token each.

    The parts are added in their order, so the result is the same every time, which atomic additions are not.
    """
    tiles = tl.cdiv(N, BN)
    program = tl.program_id(0)
    m = (program // tiles).to(tl.int64)
    n = program % tiles * BN + tl.arange(0, BN)
    total = tl.zeros([BN], tl.float32)
    for group in range(G):
        sums = tl.zeros([BN], partial.dtype.element_ty)
        for split in range(splits):
            sums += tl.load(partial + ((group * splits + split) * tokens + m) * N + n, mask=n < N, other=0)
        w = tl.load(w_scale + group * stride_g + n * stride_n, mask=n < N, other=0.0)
        if CODES:
            w, a = tl.broadcast(w, tl.load(a_scale + m * G + group))
            w = tl.div_rn(w, a)
        total += sums.to(tl.float32) * w
    if BIAS:
        total += tl.load(bias + n, mask=n < N, other=0.0).to(tl.float32)
    tl.store(y + m * N + n, total.to(y.dtype.element_ty), mask=n < N)


@triton.jit
def _dot(
    sums, activations, packed, m, n, group, first, last, tokens, N, KG, J, G,
    BITS: tl.constexpr, STEP: tl.constexpr, LARGEST: tl.constexpr, BJ: tl.constexpr,
):  # fmt: skip
    """`sums` plus the products of tokens `m` and outputs `n` over the bytes from `first` to `last` of a group."""
    tokens_at = activations + (m.to(tl.int64) * G + group) * KG
    weights_at = packed + (n.to(tl.int64) + group * N) * J
    for start in range(first, last, BJ):
        j = start + tl.arange(0, BJ)
        fields = tl.load(weights_at[None, :] + j[:, None], mask=(j < last)[:, None] & (n < N)[None, :], other=0)
        for plane in tl.static_range(8 // BITS):
            k = plane * J + j
            inside = (m < tokens)[:, None] & ((j < last) & (k < KG))[None, :]
            a = tl.load(tokens_at[:, None] + k[None, :], mask=inside, other=0)
            w = _codes(fields, plane, BITS, STEP, LARGEST).to(a.dtype)
            # "ieee": float32 is not to pass through TF32
            sums = tl.dot(a, w, sums, input_precision="ieee", out_dtype=sums.dtype)
    return sums


@triton.jit
def _codes(fields, plane: tl.constexpr, BITS: tl.constexpr, STEP: tl.constexpr, LARGEST: tl.constexpr):
    """The codes in one plane of bytes, in int16, which holds them before the subtraction, too."""
    return ((fields >> (plane * BITS)) & ((1 << BITS) - 1)).to(tl.int16) * STEP - LARGEST
