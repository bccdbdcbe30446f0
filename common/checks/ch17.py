"""Checks of chapter 17: how far layers see, what they skip, and how many weights density costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.models.d3_blocks import D2Block


def read_by(dilations: Sequence[int]) -> set[int]:
    """Which samples a path through kernels of three reads, as offsets."""
    found = {0}
    for d in dilations:
        found = {offset + step for offset in found for step in (-d, 0, d)}
    return found


@check
def reach(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 1: the receptive field of a stack."""
    cases = (((1,), 3), ((1, 1, 1), 3), ((1, 2, 4, 8), 3), ((1, 3), 5), ((7,), 1), ((4, 2, 1), 3))
    for dilations, size in cases:
        half = size // 2
        wanted = 1 + sum(2 * half * d for d in dilations)
        got = function(list(dilations), size)
        case = f"dilations {list(dilations)} and kernels of {size}"
        expect(got != wanted - 1, f"For {case} you are one short: the sample itself counts too.")
        expect(
            got != 1 + sum(half * d for d in dilations) or wanted == 1,
            f"For {case} you count one side only.",
        )
        expect(got == wanted, f"For {case} nudge one sample and count what moves: not {got}.")
    expect(function([], 3) == 1, "Without any layer an output still sees its own sample.")
    return f"Four layers at 1, 2, 4 and 8 see {function([1, 2, 4, 8], 3)} samples."


@check
def holes(function: Callable[[Sequence[int]], Iterable[int]]) -> str:
    """Exercise 2: what a path jumps over."""
    for dilations in ((1,), (4,), (1, 2), (1, 2, 4), (2, 4), (1, 4), (8, 1), (3, 3)):
        read = read_by(dilations)
        wanted = set(range(min(read), max(read) + 1)) - read
        got = {int(offset) for offset in function(list(dilations))}
        case = f"the path {list(dilations)}"
        expect(not got & read, f"On {case} you name offsets that are read, such as {got & read}.")
        inside = {offset for offset in got if min(read) <= offset <= max(read)}
        expect(got == inside, f"On {case} holes lie between the outermost samples read.")
        missed = wanted - got
        expect(not missed, f"On {case} {len(missed)} hole(s) are missing. Did you try both sides?")
    return "The path [1, 2, 4] reads everything between its ends, and [4] alone hardly anything."


@check
def dense_weights(function: Callable[[int, int, int], int]) -> str:
    """Exercise 3: the convolutions' weights of a D2 block."""
    for n_in, growth, n_layers in ((8, 4, 3), (32, 16, 5), (10, 7, 1), (6, 12, 2)):
        with torch.device("meta"):
            block = D2Block(n_in, growth, n_layers)
        kernels = [layer.conv.weight.numel() for layer in block.layers]
        offsets = [layer.conv.bias.numel() for layer in block.layers]
        wanted = sum(kernels)
        got = function(n_in, growth, n_layers)
        case = f"{n_in} channels in, growth {growth} and {n_layers} layers"
        expect(got != wanted + sum(offsets), f"For {case} you count the offsets too.")
        expect(9 * got != wanted, f"For {case}: a kernel of 3 by 3 has nine weights.")
        expect(
            got != kernels[0] or n_layers == 1,
            f"For {case} you count what reads the input. Layers read one another too.",
        )
        expect(got == wanted, f"For {case} it is not {got}: how many readers has each layer?")
    return f"Five layers of growth 16 on 32 channels: {function(32, 16, 5):,} weights."


@check
def naive_dense(function: Callable[[Tensor, Sequence[Tensor]], Tensor]) -> str:
    """Exercise 4: dense layers with one dilation each."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 40, generator=generator)
    weights = [torch.randn(2, n, 3, generator=generator) / n for n in (3, 5, 7)]
    kept = x.clone()

    def answer(dilation: Callable[[int, int], int]) -> Tensor:
        found = [x]
        for j, weight in enumerate(weights):
            groups = weight.split([y.shape[1] for y in found], dim=1)
            total = torch.zeros(2, 2, 40)
            for i, (y, w) in enumerate(zip(found, groups, strict=True)):
                d = dilation(j, i)
                total = total + torch.nn.functional.conv1d(y, w, padding=d, dilation=d)
            found.append(total)
        return found[-1]

    got = function(x, weights)
    wanted = (2, 2, 40)
    expect(
        got.shape == wanted, f"The last layer gives (b, o, n) = {wanted}, not {tuple(got.shape)}."
    )
    expect(torch.equal(x, kept), "Your function changed its input in place.")
    hints = {
        "All layers have dilation 1.": lambda j, i: 1,
        "That is the multi-dilated block; here a layer reads everything alike.": lambda j, i: 2**i,
        "The dilations grow by one; they should double.": lambda j, i: j + 1,
        "The first layer should have dilation 1, not 2.": lambda j, i: 2 ** (j + 1),
    }
    for hint, dilation in hints.items():
        expect(not torch.allclose(got, answer(dilation), atol=1e-4), hint)
    hint = "Not what dense layers give: stack the input first, then layer after layer, along dim 1."
    expect_close(got, answer(lambda j, i: 2**j), hint, 1e-4)
    return "Directly, the third layer reads the input at every fourth sample only."
