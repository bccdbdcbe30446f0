"""Checks of chapter 16, Open-Unmix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.checks import check, expect, expect_close
from common.signal.wiener import expectation_maximization


def size_of(*modules: nn.Module) -> int:
    """How many numbers modules learn."""
    return sum(x.numel() for module in modules for x in module.parameters())


def random_spectrum(*shape: int, seed: int = 0) -> Tensor:
    """A complex spectrum whose channels are unlike in level and in phase."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.randn(*shape, 2, generator=generator, dtype=torch.float64)
    return torch.view_as_complex(spectrum)


@check
def saved(function: Callable[[int, int], int]) -> str:
    """Exercise 1: weights with and without compression."""
    for n_inputs, n_features in ((2974, 512), (1486, 64), (10, 8), (8, 8)):
        with torch.device("meta"):
            half = n_features // 2
            alone = nn.LSTM(n_inputs, half, bidirectional=True)
            after = nn.LSTM(n_features, half, bidirectional=True)
            matrix = nn.Linear(n_inputs, n_features, bias=False)
            norm = nn.BatchNorm1d(n_features)
        right = size_of(alone) - size_of(matrix, norm, after)
        got, case = function(n_inputs, n_features), f"{n_inputs} inputs and {n_features} features"
        hints = {
            -right: "You have it the other way round: what is saved is positive.",
            right + 2 * n_features: "Batch normalisation learns two numbers per feature as well.",
            right - n_features: "The matrix is made without offsets.",
            2 * size_of(alone): "Each direction has half of the features.",
        }
        hint = hints.get(got, f"For {case} you say {got:,}: write both counts down part by part.")
        expect(got == right, hint)
    return f"At the published size it saves {int(function(2974, 512)):,} weights."


@check
def folded(function: Callable[[nn.Linear, nn.BatchNorm1d], nn.Linear]) -> str:
    """Exercise 2: one layer in place of two."""
    for bias in (False, True):
        torch.manual_seed(1)
        matrix, norm = nn.Linear(5, 3, bias=bias), nn.BatchNorm1d(3, eps=0.1)
        for x in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            x.data = 0.2 + torch.rand(3)
        before = [x.clone() for x in (*matrix.state_dict().values(), *norm.state_dict().values())]
        norm.eval()
        x = torch.randn(7, 5)
        right = norm(matrix(x)).detach()
        single = function(matrix, norm)
        expect(isinstance(single, nn.Linear), "Return an nn.Linear.")
        after = [*matrix.state_dict().values(), *norm.state_dict().values()]
        same = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        expect(same, "The layers that you were given have changed: make a new one.")
        expect(
            single.bias is not None, "The single layer needs an offset, though the matrix has none."
        )
        got = single(x).detach()
        expect(got.shape == right.shape, f"(7, 5) should become (7, 3), not {tuple(got.shape)}.")
        slope = (single(x) - single(0 * x)).detach()
        hint = (
            "The offset is right, the matrix is not: what does each of its rows have to be times?"
        )
        if torch.allclose(single(0 * x), norm(matrix(0 * x)), atol=1e-5):
            expect_close(slope, right - norm(matrix(0 * x)).detach(), hint, 1e-4)
        hint = "The matrix is right, the offset is not: put in zeros and follow them through."
        if bias:
            hint += " This matrix has an offset of its own."
        if torch.allclose(slope, right - norm(matrix(0 * x)).detach(), atol=1e-4):
            expect_close(got, right, hint, 1e-4)
        hint = "The result differs from norm(matrix(x)): is eps inside the root?"
        expect_close(got, right, hint, 1e-4)
    return "One layer does the work of two."


@check
def place(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: the spatial covariance of one source."""
    spectrum = random_spectrum(2, 5, 400)
    spectrum[1] = (0.4 + 0.3j) * spectrum[0] + 0.2 * spectrum[1]
    spectrum = spectrum * torch.linspace(0.1, 3, 400)
    got = function(spectrum)
    expect(got.shape == (5, 2, 2), f"The shape is (f, c, c) = (5, 2, 2), not {tuple(got.shape)}.")
    outer = torch.einsum("ifn,jfn->fij", spectrum, spectrum.conj())
    power = spectrum.abs().square().mean(dim=0)
    right = outer / power.sum(dim=-1)[:, None, None]
    expect(torch.is_complex(got), "Two channels can differ in phase: the matrix is complex.")
    trace = got.diagonal(dim1=1, dim2=2).sum(dim=-1)
    hint = "y yᴴ has the conjugate of the second factor, so that its diagonal is real."
    expect(trace.imag.abs().max() < 1e-6, hint)
    expect(
        not torch.allclose(got, right.mT, atol=1e-6),
        "Row i, column j holds channel i times the conjugate of channel j: yours is transposed.",
    )
    frames = (outer / spectrum.shape[-1]).to(got.dtype)
    hint = (
        "You divide by the number of frames: divide by the power, or loud sources seem elsewhere."
    )
    expect(not torch.allclose(got, frames, atol=1e-6), hint)
    hint = "The diagonal is off by a factor: v is the mean over channels, not the sum."
    expect(not torch.allclose(got, right / 2, atol=1e-6), hint)
    each = (torch.einsum("ifn,jfn->fijn", spectrum, spectrum.conj()) / power[:, None, None]).mean(
        -1
    )
    hint = "Add up over frames before you divide, so that loud frames count more."
    expect(not torch.allclose(got, each, atol=1e-6), hint)
    expect_close(got, right, "The numbers are others: sum over frames, then divide.", 1e-4)
    return "Its diagonal adds up to the number of channels."


@check
def vocals_and_rest(function: Callable[..., Tensor]) -> str:
    """Exercise 4: a filter with one target and what it leaves over."""
    voice, band = random_spectrum(2, 6, 40), random_spectrum(2, 6, 40, seed=1)
    voice[1], band[1] = 0.9 * voice[0], -0.2 * band[0] + 0.1 * band[1]
    mixture = voice + band
    magnitude = voice.abs() + 0.3 * band.abs()
    before = mixture.clone(), magnitude.clone()
    got = function(magnitude, mixture)
    wanted = (2, 2, 6, 40)
    expect(got.shape == wanted, f"The shape is (2, c, f, n) = {wanted}, not {tuple(got.shape)}.")
    same = torch.equal(mixture, before[0]) and torch.equal(magnitude, before[1])
    expect(same, "The mixture or the magnitude has changed: work on copies.")
    alone = expectation_maximization(torch.polar(magnitude, mixture.angle())[None], mixture)[0]
    hint = "The vocals hold the whole mixture: give the filter what they leave over, too."
    expect(not torch.allclose(got[0], alone, atol=1e-3), hint)
    expect_close(got.sum(dim=0), mixture, "The two do not add up to the mixture.", 1e-3)
    first = torch.polar(magnitude, mixture.angle())
    both = torch.stack([first, mixture - first])
    hint = "They add up, but have not been filtered."
    expect(not torch.allclose(got, both, atol=1e-4), hint)
    right = expectation_maximization(both, mixture)
    hint = "The order is vocals, then accompaniment."
    expect(not torch.allclose(got, right.flip(0), atol=1e-3), hint)
    hint = "Start from the vocals with the mixture's phase, and from the mixture less these vocals."
    expect_close(got, right, hint, 1e-3)
    hint = "`n_iter` says how often to filter."
    expect_close(
        function(magnitude, mixture, 3), expectation_maximization(both, mixture, 3), hint, 1e-3
    )
    return "Two stems that add up, from one net."
