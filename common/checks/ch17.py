"""Checks of chapter 17: receptive fields, dense connections and smoothing before dilation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close, name_mistake
from common.models.d3_blocks import D2Block

SMOOTH = 18.0
"""Exercise 5: dB that a good answer reaches; equal taps reach 15, the best taps 19."""


def read_by(dilations: Sequence[int], taps: Sequence[int] = (-1, 0, 1)) -> set[int]:
    """Which samples a path through kernels reads, relative to the middle."""
    read = {0}
    for d in dilations:
        read = {n + tap * d for n in read for tap in taps}
    return read


@check
def reach(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 1: the receptive field of a stack of layers."""
    cases = (((1, 2, 4, 8), 3), ((1, 1, 1), 3), ((1, 4), 7), ((7,), 1), ((4, 2, 1), 3), ((2, 8), 5))
    for dilations, size in cases:
        half = size // 2
        wanted = 1 + sum(2 * half * d for d in dilations)
        windows = torch.tensor([1 + 2 * half * d for d in dilations])
        read = len(read_by(dilations, range(-half, half + 1)))
        hints = {
            1 + 2 * sum(dilations): "this is right for kernels of 3 taps: use `size`.",
            wanted - 1: "you are one short: the sample itself counts as well.",
            1 + half * sum(dilations): "you count one side only.",
            1 + 2 * half * len(dilations): "you count as if all layers had dilation 1.",
            1
            + 2
            * half
            * max(
                dilations
            ): "you count the widest layer only, but every layer adds to the receptive field.",
            int(
                windows.prod()
            ): "you multiply the windows of the layers, but what they add on both sides is summed.",
            read: "count all samples from the first to the last, also those that are skipped.",
            1 + size * sum(dilations): "the dilation is the distance between two taps; how "
            "many such distances are in a kernel?",
        }
        got = int(function(list(dilations), size))
        hint = hints.get(got, f"change one input sample and see which outputs move: not {got}.")
        expect(got == wanted, f"For dilations {list(dilations)} and kernels of {size} {hint}")
    hint = "Without any layer an output depends on one sample, its own."
    expect(int(function([], 3)) == 1, hint)
    return f"Layers with dilations 1, 2, 4 and 8 cover {int(function([1, 2, 4, 8], 3))} samples."


@check
def holes(function: Callable[[Sequence[int]], Iterable[int]]) -> str:
    """Exercise 2: the samples that a path skips."""
    for dilations in ((2, 4), (1, 2), (1,), (4,), (1, 2, 4), (1, 4), (8, 1), (3, 3)):
        got = {int(offset) for offset in function(list(dilations))}
        case = f"the path {list(dilations)}"
        read, end = read_by(dilations), sum(dilations)
        inside = set(range(-end, end + 1))
        wanted = inside - read
        alone = {0, *dilations, *(-d for d in dilations)}
        mistakes = (
            (read, "You list the samples that are read, and the holes are the others."),
            (
                inside - alone,
                "The steps of all layers add up: layer 2 reads the output of layer 1.",
            ),
            (inside - read_by(dilations, (-1, 1)), "A kernel of three taps has one in the middle."),
            (inside - read_by(dilations, (0, 1)), "A kernel reads samples on both sides."),
            ({n for n in wanted if n > 0}, "A path has holes on both sides of 0."),
            ({n + end for n in wanted}, "Count from the middle: the sample in the middle is 0."),
        )
        for mistake, hint in mistakes:
            expect(got == wanted or got != mistake, f"On {case}: {hint}")
        hint = f"On {case}: holes are only between the outermost samples that are read."
        expect(got <= inside, hint)
        wrong = sorted(got & read)
        expect(not wrong, f"On {case}: these samples are read: {wrong}.")
        expect(got == wanted, f"On {case}: {len(wanted - got)} hole(s) are missing.")
    return "The path [1, 2, 4] has no holes, and [4] alone reads three of nine samples."


@check
def dense_weights(function: Callable[[int, int, int], int]) -> str:
    """Exercise 3: the weights of the convolutions in a D2 block."""
    for n_in, growth, n_layers in ((10, 3, 4), (8, 4, 3), (32, 16, 5), (10, 7, 1), (6, 12, 2)):
        with torch.device("meta"):
            block = D2Block(n_in, growth, n_layers)
        wanted = sum(layer.conv.weight.numel() for layer in block.layers)
        biases = sum(layer.conv.bias.numel() for layer in block.layers)
        norms = sum(x.numel() for layer in block.layers for x in layer.norm.parameters())
        pair, pairs = 9 * growth * growth, n_layers * (n_layers - 1) // 2
        by_input = 9 * n_in * growth
        hints = {
            wanted + biases: "you count the biases as well.",
            wanted + norms: "you count the normalisation layers as well.",
            wanted / 3: "a kernel of 3 by 3 has nine weights.",
            wanted / 9: "a kernel of 3 by 3 has nine weights.",
            by_input * n_layers: "you count what reads the input. Layers also read earlier layers.",
            by_input + (n_layers - 1) * pair: "a layer reads all earlier layers, not only the "
            "previous one.",
            by_input + pairs * pair: "every layer reads the input, not only the first.",
            wanted + n_layers * pair: "no layer can read itself.",
            wanted + pairs * pair: "a layer reads earlier layers, not later ones.",
        }
        got = int(function(n_in, growth, n_layers))
        hint = hints.get(got, f"it is not {got}: how many later layers read each output?")
        case = f"{n_in} channels in, growth {growth} and {n_layers} layer(s)"
        expect(got == wanted, f"For {case}: {hint}")
    return f"Five layers of growth 16 on 32 channels: {int(function(32, 16, 5)):,} weights."


def stacked(
    x: Tensor,
    weights: Sequence[Tensor],
    dilation: Callable[[int], int] = lambda j: 2**j,
    newest_first: bool = False,
    left: float = 0.5,
    activation: Callable[[Tensor], Tensor] = lambda y: y,
) -> Tensor:
    """Dense layers, right or with a mistake; left: the share of the padding before the signal."""
    for j, weight in enumerate(weights):
        room = 2 * dilation(j)
        before = int(left * room)
        wide = functional.pad(x, (before, room - before))
        y = activation(functional.conv1d(wide, weight, dilation=dilation(j)))
        x = torch.cat([y, x] if newest_first else [x, y], dim=1)
    return y


def multi_dilated(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Dense layers in which every input has its own dilation."""
    outputs = [x]
    for weight in weights:
        parts = weight.split([y.shape[1] for y in outputs], dim=1)
        pairs = enumerate(zip(outputs, parts, strict=True))
        terms = [functional.conv1d(y, w, padding=2**i, dilation=2**i) for i, (y, w) in pairs]
        outputs.append(torch.stack(terms).sum(dim=0))
    return outputs[-1]


@check
def naive_dense(function: Callable[[Tensor, Sequence[Tensor]], Tensor]) -> str:
    """Exercise 4: dense layers with one dilation per layer."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 40, generator=generator)
    weights = [torch.randn(2, n, 3, generator=generator) / n for n in (3, 5, 7)]
    kept = x.clone()
    got = torch.as_tensor(function(x, weights)).detach().float()
    expect(torch.equal(x, kept), "Your function changed its input in place.")
    shape, wanted = tuple(got.shape), (2, 2, 40)
    hint = f"The length stays: with padding it should be 40, not {shape[-1:]}."
    expect(shape[:2] != wanted[:2] or shape == wanted, hint)
    expect(shape == wanted, f"The last layer returns (b, growth, n) = {wanted}, not {shape}.")
    turned = [weight.flip(-1) for weight in weights]
    mistakes = {
        "All layers have dilation 1.": stacked(x, weights, lambda j: 1),
        "The dilations grow by one; they should double.": stacked(x, weights, lambda j: j + 1),
        "The first layer should have dilation 1, not 2.": stacked(
            x, weights, lambda j: 2 ** (j + 1)
        ),
        "That is the multi-dilated block; here a layer reads all inputs with one dilation.": (
            multi_dilated(x, weights)
        ),
        "Stack the input first, then layer after layer.": stacked(x, weights, newest_first=True),
        "The task has no activation between layers.": stacked(
            x, weights, activation=functional.relu
        ),
        "Put the padding on both sides, the same on each.": stacked(x, weights, left=1.0),
        "The kernels are reversed: tap 0 comes first, as in `conv1d`.": stacked(x, turned),
    }
    for hint, mistake in mistakes.items():
        expect(not torch.allclose(got, mistake, atol=1e-4), hint)
    hint = "Not the output of dense layers: each reads the input and all earlier layers, stacked."
    expect_close(got, stacked(x, weights), hint, 1e-4)
    return "Directly, the third layer reads the input at every fourth sample only."


@check
def smoothing_taps(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: seven taps that remove what a dilation of 4 would alias."""
    examples = _noisy_signals(range(4))
    taps = torch.as_tensor(function(*(x.clone() for x in examples))).detach().float()
    expect(tuple(taps.shape) == (7,), f"Return seven taps, (7,), not {tuple(taps.shape)}.")
    expect(taps.isfinite().all(), "Your taps contain a number that is infinite or NaN.")
    total = taps.sum().item()
    hint = "A constant should keep its level, so the taps should add up to about 1, not to "
    expect(abs(total - 1) < 0.3, f"{hint}{total:.2f}.")
    delay = (taps @ torch.arange(-3.0, 4)).item() / total
    expect(abs(delay) < 0.1, "The middle tap belongs to the sample itself: your filter is shifted.")
    equal_taps = torch.full((7,), 1 / 7)
    got, equal = (_smoothed_snr(x) for x in (taps, equal_taps))
    hint = "Your filter hardly changes the signals: each output should average several samples."
    expect(got > 3, hint)
    hint = "Equal taps weaken the slow part and pass fast waves: give the middle more weight."
    name_mistake(taps, {hint: equal_taps}, 1e-3)
    hint = (
        f"On new signals the error is {got:.2f} dB below the slow part, and with equal taps "
        f"{equal:.1f} dB: a good answer reaches {SMOOTH:g} dB. Which taps make the squared error "
        "of the examples as small as possible?"
    )
    expect(got >= SMOOTH, hint)
    return f"On new signals the error is {got:.1f} dB below the slow part."


def _noisy_signals(seeds: Iterable[int]) -> tuple[Tensor, Tensor]:
    """Slow signals with as much energy of fast ones added, and the slow ones: (k, n) each."""
    pairs = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        slow, fast = _band(0.0, 0.06, generator), _band(0.125, 0.5, generator)
        pairs.append(torch.stack([slow + fast, slow]))
    noisy, slow = torch.stack(pairs, dim=1)
    return noisy, slow


def _band(low: float, high: float, generator: torch.Generator, n: int = 512) -> Tensor:
    """Noise of power 1 between two frequencies, in cycles per sample: (n,)."""
    frequencies = torch.fft.rfftfreq(n)
    spectrum = torch.complex(*torch.randn(2, len(frequencies), generator=generator))
    x = torch.fft.irfft(spectrum * ((frequencies >= low) & (frequencies <= high)), n)
    return x / x.square().mean().sqrt()


def _smoothed_snr(taps: Tensor) -> float:
    """Energy of the slow part over that of the error after filtering, in dB, on new signals."""
    noisy, slow = _noisy_signals(range(100, 120))
    slow = slow[:, 3:-3]
    error = functional.conv1d(noisy[:, None], taps[None, None])[:, 0] - slow
    return 10 * torch.log10(slow.square().sum() / error.square().sum()).item()
