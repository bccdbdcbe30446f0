"""Checks of chapter 11, mask inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.checks import Hint, check, expect, expect_close
from common.models.mask_inference import MaskInference

GOOD_GAIN = 1.3
"""What a good answer to exercise 5 gains in dB; dividing by the sum alone gains about half."""


def weights(hidden_size: int, n_bins: int, n_sources: int) -> int:
    """The number of weights of the net, counted on the meta device, which needs no memory."""
    with torch.device("meta"):
        net = MaskInference(n_bins, n_sources, hidden_size)
    return sum(weight.numel() for weight in net.parameters())


def by_formula(h: int, n_bins: int, n_sources: int) -> int:
    """The same number by the formulas of the chapter: normalisation, two layers, head."""
    first, second = 8 * h * (n_bins + h + 2), 8 * h * (3 * h + 2)
    return 2 * n_bins + first + second + (2 * h + 1) * n_sources * n_bins


def miscounts(h: int, f: int, s: int) -> dict[str, int]:
    """Hint → the number of weights according to the mistake that it names."""
    whole = by_formula(h, f, s)
    one_way = 2 * f + 4 * h * (f + h + 2) + 4 * h * (2 * h + 2) + (h + 1) * s * f
    return {
        "That is the size at four bytes per weight: here each weight takes two.": 2 * whole,
        "That is the size at one byte per weight: here each weight takes two.": whole // 2,
        "Batch normalisation is not counted: it learns two numbers per bin.": whole - 2 * f,
        "The biases of the head are not counted: there is one for each logit.": whole - s * f,
        "Only one bias per gate is counted: PyTorch stores two.": whole - 16 * h,
        "The second layer reads the features of both directions.": whole - 8 * h * h,
        "That is an LSTM in one direction: the stack reads the frames in both.": one_way,
        "The head reads the features of both directions.": whole - h * s * f,
        "That is a net with one layer: this one has two.": whole - 8 * h * (3 * h + 2),
    }


def largest(count: Callable[[int, int, int], int], n_bytes: int, n_bins: int, n_sources: int):
    """The largest hidden size at two bytes per weight."""
    h = 0
    while 2 * count(h + 1, n_bins, n_sources) <= n_bytes:
        h += 1
    return h


@check
def largest_hidden(function: Callable[..., int]) -> str:
    """Exercise 1: the largest net that fits."""
    exact = 2 * weights(40, 257, 4)
    cases = [(3_000_000, 1025, 4), (500_000, 129, 2), (16_000_000, 2049, 4)]
    # With a few bytes less, size 40 no longer fits, but it seems to if some weights are forgotten.
    cases += [(exact - short, 257, 4) for short in (0, 2, 600, 1200, 1500)]
    found = [float(function(*case)) for case in cases]
    whole = all(h.is_integer() and h > 0 for h in found)
    expect(whole, "A hidden size is a positive whole number.")
    right = [largest(by_formula, *case) for case in cases]
    expect(found != [h + 1 for h in right], "That is the first size that does not fit.")
    for hint in miscounts(1, 1, 1):
        wrong = [largest(lambda *size, x=hint: miscounts(*size)[x], *case) for case in cases]
        expect(found == right or found != wrong, hint)
    for h, (n_bytes, n_bins, n_sources) in zip(found, cases, strict=True):
        h, case = int(h), f"{n_bytes:,} bytes, {n_bins} bins and {n_sources} sources"
        needed = 2 * weights(h, n_bins, n_sources)
        hint = f"For {case} you return {h}, but that net takes {needed:,} bytes."
        expect(needed <= n_bytes, f"{hint} What is not counted?")
        expect(n_bytes != exact or h == 40, "A net of exactly `n_bytes` fits.")
        fits = 2 * weights(h + 1, n_bins, n_sources) <= n_bytes
        hint = f"For {case} you return {h}, but {h + 1} would also fit. What is counted twice?"
        expect(not fits, hint)
    return f"A hidden size of {right[0]} fits into three megabytes."


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
    hint = "These are the logits in the right order: the softmax is missing."
    expect(not got(split), hint)
    expect(not got(split.log_softmax(1)), "These are logarithms of masks: use `softmax` itself.")
    expect(masks.min() >= 0, "A mask is not negative.")
    hint = "That is the sigmoid of each logit: here the masks should add up to 1."
    expect(not got(split.sigmoid()), hint)
    other_axes = any(got(split.softmax(axis)) for axis in (0, 2, 3))
    expect(not other_axes, "The softmax is over another axis than the sources.")
    ones = torch.ones(b, f, n)
    expect_close(masks.sum(dim=1), ones, "In each bin the masks of all sources should add up to 1.")
    hint = "The first f of the s·f logits belong to the first source: see `rearrange` in MaskHead."
    expect(not got(numbers.reshape(b, n, f, s).permute(0, 3, 2, 1).softmax(1)), hint)
    hint = "A reshape to (b, s, f, n) alone mixes frames and bins: move the frames to the end."
    expect(not got(numbers.reshape(wanted).softmax(1)), hint)
    hint = "The largest logit gets the smallest share: check the sign of the exponent."
    expect(not got((-split).softmax(1)), hint)
    hint = "Each bin is given to one source only: a softmax divides it among all sources."
    expect(((masks > 1e-4) & (masks < 1 - 1e-4)).any(), hint)
    hint = "The masks add up to 1 but are not a softmax: divide the exponentials by their sum."
    expect_close(masks, split.softmax(1), hint)
    return "The masks add up to one in every bin."


@check
def global_log_magnitude(layer: Callable[..., nn.Module]) -> str:
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
    return "All bins share one mean and one scale, so the average spectrum stays in the input."


def _levels(magnitude: Tensor, floor: float = 1e-4) -> Tensor:
    return 20 * torch.log10(magnitude.clamp(min=floor))


def _standard(x: Tensor, dims: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    """Zero mean and unit variance over some of the axes (b, c, f, n)."""
    return (x - x.mean(dims, keepdim=True)) / x.std(dims, keepdim=True)


def _normalises_everything(net: nn.Module, magnitude: Tensor) -> None:
    """In training mode: one mean and one scale for the whole batch."""
    got, shape = net(magnitude.clone()).detach(), tuple(magnitude.shape)
    expect(got.shape == shape, f"The shape stays (b, c, f, n) = {shape}, not {tuple(got.shape)}.")
    level = _levels(magnitude)
    named = {
        "These are the levels themselves: they are not normalised yet.": level,
        "Magnitudes are normalised here: take their levels in dB first.": _standard(magnitude),
        "Every bin has a mean of its own: here all bins share one.": _standard(level, (0, 1, 3)),
        "Every channel has a mean of its own: here all share one.": _standard(level, (0, 2, 3)),
        "Every recording has a mean of its own: here all share one.": _standard(level, (1, 2, 3)),
        "Every frame has a mean of its own: here all share one.": _standard(level, (0, 1, 2)),
        "The mean is subtracted, but the scale is missing.": level - level.mean(),
        "The scale is right, but the mean is not subtracted.": level / level.std(),
        "Divide by the standard deviation, not by the variance.": (
            (level - level.mean()) / level.var()
        ),
    }
    for hint, wrong in named.items():
        expect(not torch.allclose(got, wrong, rtol=1e-2, atol=1e-3), hint)
    expect_close(got.mean(), 0.0, "The mean over all numbers should be zero.", 1e-2)
    expect_close(got.std(), 1.0, "The variance of all numbers should be one.", 1e-2)
    right, hint = _standard(level), "Mean and variance are right, but the order of numbers is not."
    expect_close(got.flatten().sort()[0], right.flatten().sort()[0], "Are these levels in dB?", 0.1)
    expect_close(got, right, hint, 1e-2)


def _survives_silence(layer: Callable[..., nn.Module], magnitude: Tensor) -> None:
    """Zeros become the floor; a batch of zeros has the variance zero."""
    gaps = magnitude * (torch.arange(50) > 5)
    for floor, given in ((1e-4, {}), (1e-2, {"floor": 1e-2})):
        got = layer(**given).train()(gaps).detach()
        expect(got.isfinite().all(), "Silent frames give NaN or infinity: apply the floor first.")
        hint = f"With floor={floor:g} a silent bin counts as {20 * torch.tensor(floor).log10():.0f}"
        expect_close(got, _standard(_levels(gaps, floor)), f"{hint} dB: is `floor` used?", 1e-2)
    hint = "A silent batch has the variance zero, and a division by zero gives NaN."
    expect(layer().train()(0 * magnitude).isfinite().all(), hint)


def _keeps_running_averages(net: nn.Module, magnitude: Tensor) -> None:
    """In `eval` mode: the running averages of training, for any input."""
    for _ in range(1000):
        net(magnitude)
    level = _levels(magnitude)
    softer = magnitude[:1, :, :, :3] / 20
    right = (_levels(softer) - level.mean()) / level.std()
    net.eval()
    got = net(softer).detach()
    hint = "In `eval` mode an excerpt is normalised by its own mean: use the running averages"
    expect(abs(got.mean() - right.mean()) < abs(got.mean()), f"{hint} of training.")
    hint = "After 1000 equal batches the running averages should be their mean and variance."
    expect_close(got, right, hint, 5e-2)
    for _ in range(100):
        net(softer)
    hint = "In `eval` mode the running averages should not change."
    expect_close(net(softer).detach(), right, hint, 5e-2)


@check
def frame_by_frame(function: Callable[[int, int], nn.Module]) -> str:
    """Exercise 4: a body without context."""
    torch.manual_seed(0)
    body = function(10, 6)
    expect(isinstance(body, nn.Module), "Return a module, such as an nn.Sequential.")
    body.eval()  # no dropout here
    frames = torch.randn(2, 9, 10)
    with torch.no_grad():
        features = body(frames)
        hint = "The module returns a tuple, as `nn.LSTM` does: return only the features."
        expect(isinstance(features, Tensor), hint)
        hint = "That is hidden_size: a stack with two directions returns twice as many features."
        expect(features.shape != (2, 9, 6), hint)
        expect(
            features.shape == (2, 9, 12),
            f"(2, 9, 10) should become (2, 9, 12), not {tuple(features.shape)}.",
        )
        nudged = frames.clone()
        nudged[0, 4] += 1.0
        moved = (body(nudged) - features).abs().amax(dim=2) > 1e-6
        own, moved[0, 4] = bool(moved[0, 4]), False
        expect(not moved[1].any(), "Changing one recording changed the other: check the axes.")
        expect(not moved.any(), "Changing frame 4 changed other frames: this module uses context.")
        expect(own, "Changing frame 4 did not change its features.")
        short = body(frames[:, :3])
        expect(short.shape == (2, 3, 12), "Three frames should stay three: allow any number.")
        hint = "The features of frame 0 depend on the number of frames: this module uses context."
        expect_close(short, features[:, :3], hint)
        one, other = 3 * torch.randn(2, 2, 9, 10)
        bent = body(one + other) - body(one) - body(other) + body(0 * one)
        expect(bent.abs().max() > 1e-4, "The module is linear: add a non-linearity.")
    hint = "Other sizes do not work: use `n_features` and `hidden_size`."
    try:
        expect(function(7, 4).eval()(torch.randn(1, 2, 7)).shape == (1, 2, 8), hint)
    except RuntimeError as error:  # a layer that was made for other sizes
        raise Hint(hint) from error
    return "Every frame is processed by itself. Now predict, and then train."


@check
def refined_masks(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: better masks from noisy ones, measured by the SDR of the masked mixture."""
    before, after, sums, changes = [], [], [], []
    for seed in range(8):
        sources, masks = _noisy_masks(seed)
        mixture = sources.sum(dim=0)
        refined = torch.as_tensor(function(masks.clone(), mixture.abs())).detach().to(masks.dtype)
        shape = tuple(masks.shape)
        expect(refined.shape == shape, f"The shape stays (s, f, n) = {shape}.")
        expect(refined.isfinite().all(), "A mask is infinite or NaN: is a sum zero somewhere?")
        within = refined.min() >= 0 and refined.max() <= 1 + 1e-4
        expect(within, "A mask is below 0 or above 1.")
        expect(not torch.allclose(refined, masks, atol=1e-4), "These are the given masks.")
        before.append(_mean_sdr(sources, masks * mixture))
        after.append(_mean_sdr(sources, refined * mixture))
        sums.append((refined.sum(dim=0) - 1).abs().mean())
        changes.append([refined.diff(dim=axis).abs().mean() for axis in (1, 2)])
    gain = float(torch.tensor(after).mean() - torch.tensor(before).mean())
    across, along = torch.tensor(changes).mean(dim=0).tolist()
    hint = "Use the neighbouring frames, or raise the masks to a power before you divide."
    if across < along:
        hint = "Smooth along time, not along frequency: neighbouring bins differ a lot."
    elif along < 1e-3:
        hint = "These masks are the same in every frame: they no longer follow the music."
    elif torch.tensor(sums).mean() > 0.05:
        hint = "The masks do not add up to 1, although the sources add up to the mixture."
    elif ((refined < 1e-4) | (refined > 1 - 1e-4)).all():
        hint = "A wrong binary decision costs twice: keep the masks soft."
    numbers = f"The mean SDR changes by {gain:+.1f} dB"
    expect(gain >= GOOD_GAIN, f"{numbers}; a good answer gains at least {GOOD_GAIN} dB. {hint}")
    return f"{numbers}."


def _noisy_masks(seed: int) -> tuple[Tensor, Tensor]:
    """Spectra of four sources (s, f, n), and masks as an uncertain net may estimate them."""
    s, f, n = 4, 48, 60
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    notes = uniform(s, 3, n // 6).repeat_interleave(6, dim=-1) ** 3
    magnitude = uniform(s, f, 3) ** 6 @ notes + 1e-3
    sources = torch.polar(magnitude, 2 * torch.pi * uniform(s, f, n))
    ideal = magnitude / magnitude.sum(dim=0)
    logits = torch.logit(ideal.clamp(0.01, 0.99))
    noise = torch.randn(s, f, n, generator=generator)
    return sources, torch.sigmoid(0.6 * logits + 0.6 + 0.8 * noise)


def _mean_sdr(sources: Tensor, estimates: Tensor) -> float:
    """SDR in dB of complex spectra (s, f, n), the mean over the sources."""
    energy = sources.abs().square().sum(dim=(1, 2))
    error = (estimates - sources).abs().square().sum(dim=(1, 2))
    return (10 * torch.log10(energy / error)).mean().item()
