"""Checks of chapter 17: how far layers see, what they skip, and how many weights density costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close
from common.models.d3_blocks import D2Block


def read_by(dilations: Sequence[int], taps: Sequence[int] = (-1, 0, 1)) -> set[int]:
    """Which samples a path through kernels reads, as offsets."""
    found = {0}
    for d in dilations:
        found = {offset + tap * d for offset in found for tap in taps}
    return found


@check
def reach(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 1: the receptive field of a stack."""
    cases = (((1, 2, 4, 8), 3), ((1, 1, 1), 3), ((1, 4), 7), ((7,), 1), ((4, 2, 1), 3), ((2, 8), 5))
    for dilations, size in cases:
        half = size // 2
        wanted = 1 + sum(2 * half * d for d in dilations)
        windows = torch.tensor([1 + 2 * half * d for d in dilations])
        read = len(read_by(dilations, range(-half, half + 1)))
        hints = {
            1 + 2 * sum(dilations): "this is right for 3 taps: use `size`.",
            wanted - 1: "you are one short: the sample itself counts, too.",
            1 + half * sum(dilations): "you count one side only.",
            1 + 2 * half * len(dilations): "you count as if all layers had dilation 1.",
            1 + 2 * half * max(dilations): "you count the widest layer, but each adds its part.",
            int(windows.prod()): "you multiply windows, but what layers add on both sides adds up.",
            read: "count from the first sample to the last, also those that are jumped over.",
            1 + size * sum(dilations): "the dilation is the distance between taps; how many "
            "distances has a kernel?",
        }
        got = int(function(list(dilations), size))
        hint = hints.get(got, f"change one input sample and see which outputs move: not {got}.")
        expect(got == wanted, f"For dilations {list(dilations)} and kernels of {size} {hint}")
    hint = "Without any layer an output still sees its own sample."
    expect(int(function([], 3)) == 1, hint)
    return f"Four layers at 1, 2, 4 and 8 see {int(function([1, 2, 4, 8], 3))} samples."


@check
def holes(function: Callable[[Sequence[int]], Iterable[int]]) -> str:
    """Exercise 2: what a path jumps over."""
    for dilations in ((2, 4), (1, 2), (1,), (4,), (1, 2, 4), (1, 4), (8, 1), (3, 3)):
        got = {int(offset) for offset in function(list(dilations))}
        case = f"the path {list(dilations)}"
        read, end = read_by(dilations), sum(dilations)
        inside = set(range(-end, end + 1))
        wanted = inside - read
        alone = {0, *dilations, *(-d for d in dilations)}
        mistakes = (
            (read, "You list what is read, and the holes are the others."),
            (inside - alone, "The steps of all layers add up: layer 2 reads what layer 1 gives."),
            (inside - read_by(dilations, (-1, 1)), "A kernel of three has a tap in the middle."),
            (inside - read_by(dilations, (0, 1)), "A kernel reads behind as well as ahead."),
            ({n for n in wanted if n > 0}, "The path reads, and has holes, on both sides of 0."),
            ({n + end for n in wanted}, "Count from the middle: the sample in the middle is 0."),
        )
        for mistake, hint in mistakes:
            expect(got == wanted or got != mistake, f"On {case}: {hint}")
        hint = f"On {case} holes are only between the outermost samples that are read."
        expect(got <= inside, hint)
        wrong = sorted(got & read)
        expect(not wrong, f"On {case} you name offsets that are read: {wrong}.")
        expect(got == wanted, f"On {case} {len(wanted - got)} hole(s) are missing.")
    return "The path [1, 2, 4] reads everything between its ends, and [4] alone hardly anything."


@check
def dense_weights(function: Callable[[int, int, int], int]) -> str:
    """Exercise 3: the convolutions' weights of a D2 block."""
    for n_in, growth, n_layers in ((10, 3, 4), (8, 4, 3), (32, 16, 5), (10, 7, 1), (6, 12, 2)):
        with torch.device("meta"):
            block = D2Block(n_in, growth, n_layers)
        wanted = sum(layer.conv.weight.numel() for layer in block.layers)
        biases = sum(layer.conv.bias.numel() for layer in block.layers)
        norms = sum(x.numel() for layer in block.layers for x in layer.norm.parameters())
        pair, pairs = 9 * growth * growth, n_layers * (n_layers - 1) // 2
        by_input = 9 * n_in * growth
        hints = {
            wanted + biases: "you count the biases (offsets), too.",
            wanted + norms: "you count the norms, too.",
            wanted / 3: "a kernel of 3 by 3 has nine weights.",
            wanted / 9: "a kernel of 3 by 3 has nine weights.",
            by_input * n_layers: "you count what reads the input. Layers read one another, too.",
            by_input + (n_layers - 1) * pair: "a layer reads all before it, not only the one "
            "before.",
            by_input + pairs * pair: "every layer reads the input, too, not only the first.",
            wanted + n_layers * pair: "no layer can read itself.",
            wanted + pairs * pair: "a layer reads earlier layers, not later ones.",
        }
        got = int(function(n_in, growth, n_layers))
        hint = hints.get(got, f"it is not {got}: how many readers has each layer?")
        case = f"{n_in} channels in, growth {growth} and {n_layers} layer(s)"
        expect(got == wanted, f"For {case}: {hint}")
    return f"Five layers of growth 16 on 32 channels: {int(function(32, 16, 5)):,} weights."


def stacked(
    x: Tensor,
    weights: Sequence[Tensor],
    dilation: Callable[[int], int] = lambda j: 2**j,
    newest_first: bool = False,
    left: float = 0.5,
    bend: Callable[[Tensor], Tensor] = lambda y: y,
) -> Tensor:
    """Dense layers, right or with a mistake; left: the part of the padding before the signal."""
    for j, weight in enumerate(weights):
        room = 2 * dilation(j)
        before = int(left * room)
        wide = functional.pad(x, (before, room - before))
        y = bend(functional.conv1d(wide, weight, dilation=dilation(j)))
        x = torch.cat([y, x] if newest_first else [x, y], dim=1)
    return y


def multi_dilated(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Dense layers in which everything is read with its own dilation."""
    found = [x]
    for weight in weights:
        parts = weight.split([y.shape[1] for y in found], dim=1)
        pairs = enumerate(zip(found, parts, strict=True))
        terms = [functional.conv1d(y, w, padding=2**i, dilation=2**i) for i, (y, w) in pairs]
        found.append(torch.stack(terms).sum(dim=0))
    return found[-1]


@check
def naive_dense(function: Callable[[Tensor, Sequence[Tensor]], Tensor]) -> str:
    """Exercise 4: dense layers with one dilation each."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 40, generator=generator)
    weights = [torch.randn(2, n, 3, generator=generator) / n for n in (3, 5, 7)]
    kept = x.clone()
    got = torch.as_tensor(function(x, weights)).detach().float()
    expect(torch.equal(x, kept), "Your function changed its input in place.")
    shape, wanted = tuple(got.shape), (2, 2, 40)
    hint = f"The length stays: with padding it should be 40, not {shape[-1:]}."
    expect(shape[:2] != wanted[:2] or shape == wanted, hint)
    expect(shape == wanted, f"The last layer gives (b, growth, n) = {wanted}, not {shape}.")
    turned = [weight.flip(-1) for weight in weights]
    mistakes = {
        "All layers have dilation 1.": stacked(x, weights, lambda j: 1),
        "The dilations grow by one; they should double.": stacked(x, weights, lambda j: j + 1),
        "The first layer should have dilation 1, not 2.": stacked(
            x, weights, lambda j: 2 ** (j + 1)
        ),
        "That is the multi-dilated block; here a layer reads everything with one dilation.": (
            multi_dilated(x, weights)
        ),
        "Stack the input first, then layer after layer.": stacked(x, weights, newest_first=True),
        "The task has no activation between layers.": stacked(x, weights, bend=functional.relu),
        "Put the padding on both sides, the same on each.": stacked(x, weights, left=1.0),
        "The kernels are turned around: tap 0 comes first, as in `conv1d`.": stacked(x, turned),
    }
    for hint, mistake in mistakes.items():
        expect(not torch.allclose(got, mistake, atol=1e-4), hint)
    hint = "Not what dense layers give: each reads the input and all layers before it, stacked."
    expect_close(got, stacked(x, weights), hint, 1e-4)
    return "Directly, the third layer reads the input at every fourth sample only."
