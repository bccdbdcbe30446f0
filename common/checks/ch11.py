"""Checks of chapter 11, mask inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.checks import Hint, check, expect, expect_close
from common.models.mask_inference import MaskInference


def weights(hidden_size: int, n_bins: int, n_sources: int) -> int:
    """How many weights the net has, counted on one that takes no memory."""
    with torch.device("meta"):
        net = MaskInference(n_bins, n_sources, hidden_size)
    return sum(weight.numel() for weight in net.parameters())


def by_formula(h: int, n_bins: int, n_sources: int) -> int:
    """The same from the chapter's formulas: normalisation, two layers, head."""
    first, second = 8 * h * (n_bins + h + 2), 8 * h * (3 * h + 2)
    return 2 * n_bins + first + second + (2 * h + 1) * n_sources * n_bins


MISCOUNTS: dict[str, Callable[[int, int, int], int]] = {
    "That is the size at four bytes a weight: here each takes two.": lambda h, f, s: (
        2 * by_formula(h, f, s)
    ),
    "That is the size at one byte a weight: here each takes two.": lambda h, f, s: (
        by_formula(h, f, s) // 2
    ),
    "Batch normalisation is not counted: it learns two numbers per bin.": lambda h, f, s: (
        by_formula(h, f, s) - 2 * f
    ),
    "The head's offsets are not counted: one for each number it returns.": lambda h, f, s: (
        by_formula(h, f, s) - s * f
    ),
    "One row of offsets is not counted: PyTorch keeps two for each gate.": lambda h, f, s: (
        by_formula(h, f, s) - 16 * h
    ),
    "The second layer reads what both directions of the first return.": lambda h, f, s: (
        by_formula(h, f, s) - 8 * h * h
    ),
    "That is an LSTM that reads in one direction: the stack reads in both.": lambda h, f, s: (
        2 * f + 4 * h * (f + h + 2) + 4 * h * (2 * h + 2) + (h + 1) * s * f
    ),
    "The head reads the features of both directions.": lambda h, f, s: (
        by_formula(h, f, s) - h * s * f
    ),
    "That is a net with one layer: this one has two.": lambda h, f, s: (
        by_formula(h, f, s) - 8 * h * (3 * h + 2)
    ),
}
"""Hint → how many weights are counted by a reader who needs it."""


def largest(count: Callable[[int, int, int], int], n_bytes: int, n_bins: int, n_sources: int):
    """The largest hidden size at two bytes a weight."""
    h = 0
    while 2 * count(h + 1, n_bins, n_sources) <= n_bytes:
        h += 1
    return h


@check
def largest_hidden(function: Callable[..., int]) -> str:
    """Exercise 1: the largest net that fits."""
    exact = 2 * weights(40, 257, 4)
    cases = [(3_000_000, 1025, 4), (500_000, 129, 2), (16_000_000, 2049, 4)]
    # Short by ever more bytes: who forgets some weights takes size 40 for a little longer.
    cases += [(exact - short, 257, 4) for short in (0, 2, 600, 1200, 1500)]
    found = [float(function(*case)) for case in cases]
    whole = all(h.is_integer() and h > 0 for h in found)
    expect(whole, "A hidden size is a positive whole number.")
    right = [largest(by_formula, *case) for case in cases]
    expect(found != [h + 1 for h in right], "That is the first size that does not fit.")
    for hint, count in MISCOUNTS.items():
        expect(found == right or found != [largest(count, *case) for case in cases], hint)
    for h, (n_bytes, n_bins, n_sources) in zip(found, cases, strict=True):
        h, case = int(h), f"{n_bytes:,} bytes, {n_bins} bins and {n_sources} sources"
        needed = 2 * weights(h, n_bins, n_sources)
        hint = f"For {case} you return {h}, but that net takes {needed:,} bytes."
        expect(needed <= n_bytes, f"{hint} What is not counted?")
        expect(n_bytes != exact or h == 40, "A net of exactly `n_bytes` fits.")
        fits = 2 * weights(h + 1, n_bins, n_sources) <= n_bytes
        hint = f"For {case} you return {h}, but {h + 1} would still fit. What is counted twice?"
        expect(not fits, hint)
    return f"Three megabytes hold a hidden size of {right[0]}."


@check
def competing_masks(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 2: softmax over the sources."""
    b, s, f, n = wanted = (2, 3, 5, 7)
    numbers = torch.randn(b, n, s * f, generator=torch.Generator().manual_seed(0))
    masks = torch.as_tensor(function(numbers.clone(), s)).detach().to(numbers.dtype)

    def got(candidate: Tensor) -> bool:
        return torch.allclose(masks, candidate, atol=1e-4)

    expect(masks.shape == wanted, f"Masks are (b, s, f, n) = {wanted}, not {tuple(masks.shape)}.")
    split = numbers.reshape(b, n, s, f).permute(0, 2, 3, 1)
    hint = "These are the numbers themselves, in the right order: the softmax is missing."
    expect(not got(split), hint)
    expect(not got(split.log_softmax(1)), "These are logarithms of masks: use `softmax` itself.")
    expect(masks.min() >= 0, "A mask is not negative.")
    hint = "That is the sigmoid of each number by itself: here the sources should compete."
    expect(not got(split.sigmoid()), hint)
    other_axes = any(got(split.softmax(axis)) for axis in (0, 2, 3))
    expect(not other_axes, "The softmax runs over another axis than the sources.")
    ones = torch.ones(b, f, n)
    expect_close(masks.sum(dim=1), ones, "In each bin the masks of all sources should add up to 1.")
    hint = "The first f of the s·f numbers belong to the first source: see the pattern in MaskHead."
    expect(not got(numbers.reshape(b, n, f, s).permute(0, 3, 2, 1).softmax(1)), hint)
    hint = "A reshape to (b, s, f, n) alone mixes frames with bins: the frames have to move last."
    expect(not got(numbers.reshape(wanted).softmax(1)), hint)
    hint = "The largest number gets the smallest share: mind the sign of the exponent."
    expect(not got((-split).softmax(1)), hint)
    hint = "Each bin goes to one source as a whole: softmax shares it out."
    expect(((masks > 1e-4) & (masks < 1 - 1e-4)).any(), hint)
    hint = "The masks add up to 1 but are not a softmax: exponentials, divided by their sum."
    expect_close(masks, split.softmax(1), hint)
    return "In every bin the shares add up to exactly one."


@check
def tilted_log_magnitude(layer: Callable[..., nn.Module]) -> str:
    """Exercise 3: one mean and one scale for all bins."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.logspace(3, 1, 6)[:, None]
    magnitude = slope * (1 + torch.rand(3, 2, 6, 50, generator=generator))
    magnitude[:, 1] *= 3  # channels and recordings differ in level
    magnitude[1] *= 10
    net = layer().train()
    expect(net(magnitude) is not None, "`forward` returns nothing yet: end it with `return`.")
    _normalises_everything(layer().train(), magnitude)
    _survives_silence(layer, magnitude)
    _keeps_running_averages(layer().train(), magnitude)
    return "One mean and one scale, and the tilt stays."


def _levels(magnitude: Tensor, floor: float = 1e-4) -> Tensor:
    return 20 * torch.log10(magnitude.clamp(min=floor))


def _standard(x: Tensor, dims: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    """Zero mean and unit variance over some of the axes (b, c, f, n)."""
    return (x - x.mean(dims, keepdim=True)) / x.std(dims, keepdim=True)


def _normalises_everything(net: nn.Module, magnitude: Tensor) -> None:
    """In training: all numbers of the batch together."""
    got, shape = net(magnitude.clone()).detach(), tuple(magnitude.shape)
    expect(got.shape == shape, f"The shape stays (b, c, f, n) = {shape}, not {tuple(got.shape)}.")
    level = _levels(magnitude)
    named = {
        "These are the levels themselves: they are not normalised yet.": level,
        "Magnitudes are normalised here: take their levels in dB first.": _standard(magnitude),
        "The tilt is gone: every bin has a mean of its own.": _standard(level, (0, 1, 3)),
        "Every channel has a mean of its own: all share one.": _standard(level, (0, 2, 3)),
        "Every recording has a mean of its own: the whole batch shares one.": _standard(
            level, (1, 2, 3)
        ),
        "Every frame has a mean of its own: all share one.": _standard(level, (0, 1, 2)),
        "The mean is taken off, but the scale is missing.": level - level.mean(),
        "The scale is right, but the mean is not taken off.": level / level.std(),
        "Divide by the standard deviation, not by the variance.": (
            (level - level.mean()) / level.var()
        ),
    }
    for hint, wrong in named.items():
        expect(not torch.allclose(got, wrong, rtol=1e-2, atol=1e-3), hint)
    expect_close(got.mean(), 0.0, "All numbers together need zero mean.", 1e-2)
    expect_close(got.std(), 1.0, "All numbers together need unit variance.", 1e-2)
    right, hint = _standard(level), "Mean and variance are right, but the numbers change places."
    expect_close(got.flatten().sort()[0], right.flatten().sort()[0], "Are these levels in dB?", 0.1)
    expect_close(got, right, hint, 1e-2)


def _survives_silence(layer: Callable[..., nn.Module], magnitude: Tensor) -> None:
    """Zeros lie at the floor, and nothing but zeros has no spread."""
    gaps = magnitude * (torch.arange(50) > 5)
    for floor, given in ((1e-4, {}), (1e-2, {"floor": 1e-2})):
        got = layer(**given).train()(gaps).detach()
        expect(got.isfinite().all(), "Silent frames give NaN or infinity: levels need a floor.")
        hint = f"With floor={floor:g} a silent bin counts as {20 * torch.tensor(floor).log10():.0f}"
        expect_close(got, _standard(_levels(gaps, floor)), f"{hint} dB: is `floor` used?", 1e-2)
    hint = "A silent batch has no spread, and dividing by zero gives NaN."
    expect(layer().train()(0 * magnitude).isfinite().all(), hint)


def _keeps_running_averages(net: nn.Module, magnitude: Tensor) -> None:
    """After training: the averages of training, whatever comes in."""
    for _ in range(1000):
        net(magnitude)
    level = _levels(magnitude)
    softer = magnitude[:1, :, :, :3] / 20
    right = (_levels(softer) - level.mean()) / level.std()
    net.eval()
    got = net(softer).detach()
    hint = "After training (in `eval` mode) an excerpt is normalised by its own mean: use averages"
    expect(abs(got.mean() - right.mean()) < abs(got.mean()), f"{hint} that training has kept.")
    hint = "After 1000 equal batches the averages should be their mean and variance."
    expect_close(got, right, hint, 5e-2)
    for _ in range(100):
        net(softer)
    hint = "In `eval` mode the running averages should stay as training left them."
    expect_close(net(softer).detach(), right, hint, 5e-2)


@check
def frame_by_frame(function: Callable[[int, int], nn.Module]) -> str:
    """Exercise 4: a body without memory."""
    torch.manual_seed(0)
    body = function(10, 6)
    expect(isinstance(body, nn.Module), "Return a module, such as an nn.Sequential.")
    body.eval()  # no dropout here
    frames = torch.randn(2, 9, 10)
    with torch.no_grad():
        features = body(frames)
        hint = "The module returns several things, as `nn.LSTM` does: features alone, please."
        expect(isinstance(features, Tensor), hint)
        one_way = features.shape == (2, 9, 6)
        expect(not one_way, "That is hidden_size; a stack of two directions returns twice that.")
        expect(
            features.shape == (2, 9, 12),
            f"(2, 9, 10) should become (2, 9, 12), not {tuple(features.shape)}.",
        )
        nudged = frames.clone()
        nudged[0, 4] += 1.0
        moved = (body(nudged) - features).abs().amax(dim=2) > 1e-6
        own, moved[0, 4] = bool(moved[0, 4]), False
        expect(not moved[1].any(), "Nudging one recording moved the other: mind the axes.")
        expect(not moved.any(), "Nudging frame 4 moved other frames too: this module has a memory.")
        expect(own, "Nudging frame 4 did not move its features.")
        short = body(frames[:, :3])
        expect(short.shape == (2, 3, 12), "Three frames should become three: any number is fine.")
        hint = "Frame 0 is treated differently when fewer frames follow: this module has a memory."
        expect_close(short, features[:, :3], hint)
        one, other = 3 * torch.randn(2, 2, 9, 10)
        bent = body(one + other) - body(one) - body(other) + body(0 * one)
        expect(bent.abs().max() > 1e-4, "It is linear: put a non-linearity in.")
    hint = "Other sizes do not work: use `n_features` and `hidden_size` as given."
    try:
        expect(function(7, 4).eval()(torch.randn(1, 2, 7)).shape == (1, 2, 8), hint)
    except RuntimeError as error:  # a layer that was made for other sizes
        raise Hint(hint) from error
    return "Every frame is processed by itself. Now predict, then train."
