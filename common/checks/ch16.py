"""Checks of chapter 16, Open-Unmix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.checks import check, expect, expect_close, name_mistake
from common.signal.wiener import expectation_maximization, solve_hermitian


def size_of(*modules: nn.Module) -> int:
    """The number of weights of modules."""
    return sum(x.numel() for module in modules for x in module.parameters())


def random_spectrum(*shape: int, seed: int = 0) -> Tensor:
    """A complex spectrum whose channels differ in level and in phase."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.randn(*shape, 2, generator=generator, dtype=torch.float64)
    return torch.view_as_complex(spectrum)


@check
def saved(function: Callable[[int, int], int]) -> str:
    """Exercise 1: weights with and without compression."""
    for n_inputs, n_features in ((2974, 512), (1486, 64), (10, 8), (8, 8)):
        with torch.device("meta"):
            half = n_features // 2
            alone = size_of(nn.LSTM(n_inputs, half, bidirectional=True))
            after = size_of(nn.LSTM(n_features, half, bidirectional=True))
            matrix = nn.Linear(n_inputs, n_features, bias=False)
            norm = nn.BatchNorm1d(n_features)
        compression = size_of(matrix, norm)
        right = alone - compression - after
        got, case = function(n_inputs, n_features), f"{n_inputs} inputs and {n_features} features"
        hints = {
            -right: "The sign is the other way round: weights that are saved count as positive.",
            right + 2 * n_features: "Batch normalisation learns two numbers per feature as well.",
            right - n_features: "The linear layer has no bias.",
            (alone - after) / 2 - compression: "A BLSTM has two directions, each with weights.",
            2 * (alone - after) - compression: "Each direction has half of the features.",
            (alone - after) / 4 - compression: "An LSTM has four gates, each with weights.",
            (alone - after) / 4 * 3 - compression: "An LSTM has four gates, each with weights.",
            right + after: "There is a BLSTM that reads the compressed features, too: count it.",
        }
        hint = f"For {case} you return {got:,}: write down both counts, part by part."
        expect(got == right, hints.get(got, hint))
    return f"At the published size it saves {int(function(2974, 512)):,} weights."


@check
def folded(function: Callable[[nn.Linear, nn.BatchNorm1d], nn.Linear]) -> str:
    """Exercise 2: one layer in place of two."""
    for n_inputs, bias in ((3, False), (5, False), (5, True)):
        torch.manual_seed(1)
        matrix, norm = nn.Linear(n_inputs, 3, bias=bias), nn.BatchNorm1d(3, eps=0.1)
        for x in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            x.data = 0.2 + torch.rand(3)
        before = [x.clone() for x in (*matrix.state_dict().values(), *norm.state_dict().values())]
        matrix.eval()
        norm.eval()
        single = function(matrix, norm)
        expect(isinstance(single, nn.Linear), "Return an nn.Linear.")
        after = [*matrix.state_dict().values(), *norm.state_dict().values()]
        same = len(after) == len(before) and all(map(torch.equal, before, after))
        expect(same, "The layers that you were given have changed: make a new one.")
        expect(single.bias is not None, "The single layer needs a bias, even if `matrix` has none.")
        shape, wanted = tuple(single.weight.shape), tuple(matrix.weight.shape)
        expect(shape == wanted, f"The weight should have the shape {wanted}, not {shape}.")
        expect_right_weight(single.weight.detach().float(), matrix.weight.detach(), norm)
        x = torch.randn(7, n_inputs)
        with torch.no_grad():
            expect_right_bias(single.bias.float(), matrix, norm)
            got, hint = single.float()(x), "The result differs from norm(matrix(x))."
            expect_close(got, norm(matrix(x)), hint, 1e-4)
    return "One layer does the work of two."


def expect_right_weight(got: Tensor, weight: Tensor, norm: nn.BatchNorm1d) -> None:
    """Name what is wrong in the folded weight."""
    variance, gamma = norm.running_var, norm.weight.detach()
    gain = gamma / (variance + norm.eps).sqrt()
    mistakes = {
        "The denominator is too small: where does `norm.eps` go?": gamma / variance.sqrt(),
        "The norm divides by a standard deviation: take the square root of the variance.": gamma
        / (variance + norm.eps),
        "The norm also multiplies by `norm.weight`.": gain / gamma,
        "The weight of the matrix is unchanged: multiply it, row by row.": 1 + 0 * gain,
    }
    for hint, mistaken in mistakes.items():
        expect(not torch.allclose(got, mistaken[:, None] * weight, atol=1e-5), hint)
    if weight.shape[0] == weight.shape[1]:
        hint = "The norm multiplies outputs: multiply the rows, not the columns."
        expect(not torch.allclose(got, gain * weight, atol=1e-5), hint)
    hint = "The weight is not right: what does the norm multiply each output by?"
    expect_close(got, gain[:, None] * weight, hint, 1e-4)


def expect_right_bias(got: Tensor, matrix: nn.Linear, norm: nn.BatchNorm1d) -> None:
    """Name what is wrong in the folded bias, when the weight is right."""
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    own = 0 * gain if matrix.bias is None else matrix.bias
    mean = norm.running_mean
    mistakes = {
        "The norm subtracts the running mean: is it in your bias, with this sign?": (
            gain * (own + mean) + norm.bias,
            gain * own + norm.bias,
        ),
        "The norm also adds `norm.bias`.": (gain * (own - mean),),
        "The norm subtracts the mean before it multiplies: what becomes of the mean?": (
            own - mean + norm.bias,
            gain * own - mean + norm.bias,
        ),
        "This matrix has a bias of its own: what does the norm do to it?": (
            norm.bias - gain * mean,
            own - gain * mean + norm.bias,
        ),
    }
    right = gain * (own - mean) + norm.bias
    if torch.allclose(got, right, atol=1e-4):
        return
    for hint, values in mistakes.items():
        expect(not any(torch.allclose(got, x, atol=1e-5) for x in values), hint)
    expect(False, "The bias is not right: what do both layers return for an input of zeros?")


@check
def covariance(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: the spatial covariance of one source."""
    spectrum = random_spectrum(2, 5, 400)
    spectrum[1] = (0.4 + 0.3j) * spectrum[0] + 0.2 * spectrum[1]
    spectrum = spectrum * torch.linspace(0.1, 3, 400)
    spectrum = spectrum * torch.linspace(1, 2, 5)[:, None]
    got = torch.as_tensor(function(spectrum))
    hint = f"The shape should be (f, c, c) = (5, 2, 2), not {tuple(got.shape)}."
    expect(got.shape == (5, 2, 2), hint)
    each = torch.einsum("ifn,jfn->fijn", spectrum, spectrum.conj())
    outer = each.sum(dim=-1)
    power = spectrum.abs().square().mean(dim=0)[:, None, None]
    right = outer / power.sum(dim=-1)
    expect(torch.is_complex(got), "Two channels can differ in phase: the matrix is complex.")
    got = got.to(right.dtype)
    trace = got.diagonal(dim1=1, dim2=2).sum(dim=-1)
    hint = "y yᴴ has the conjugate of the second factor, so that its diagonal is real."
    expect(trace.imag.abs().max() < 1e-4, hint)
    sizes = spectrum.abs()
    mistakes = {
        "Row i, column j holds channel i times the conjugate of channel j: yours is "
        "transposed.": right.mT,
        "You divide by the number of frames: divide by the power, so that the level does not "
        "count.": each.mean(dim=-1),
        "The diagonal is off by a factor: v is the mean over channels, not the sum.": right / 2,
        "Add up over frames before you divide, so that loud frames count more.": (
            (each / power).mean(dim=-1)
        ),
        "Magnitudes alone do not say how channels differ: keep the phases of the spectrum.": (
            torch.einsum("ifn,jfn->fij", sizes, sizes) / power.sum(dim=-1)
        ),
        "Sum over frames only: each frequency by itself has its own matrix.": (
            (outer.sum(dim=0) / power.sum()).expand(5, 2, 2)
        ),
        "Divide each frequency's matrix by its own power: each frequency by itself.": (
            outer / power.sum()
        ),
    }
    for hint, mistake in mistakes.items():
        expect(not torch.allclose(got, mistake.to(got.dtype), atol=1e-4), hint)
    expect_close(got, right, "The values are wrong: sum over frames, then divide.", 1e-4)
    return "Its diagonal adds up to the number of channels."


@check
def vocals_and_rest(function: Callable[..., Tensor]) -> str:
    """Exercise 4: a filter with one target and the rest of the mixture."""
    voice, band = random_spectrum(2, 6, 40), random_spectrum(2, 6, 40, seed=1)
    voice[1], band[1] = 0.9 * voice[0], -0.2 * band[0] + 0.1 * band[1]
    mixture = voice + band
    magnitude = voice.abs() + 0.3 * band.abs()
    before = mixture.clone(), magnitude.clone()
    got = torch.as_tensor(function(magnitude, mixture))
    wanted = (2, 2, 6, 40)
    expect(got.shape == wanted, f"The shape is (2, c, f, n) = {wanted}, not {tuple(got.shape)}.")
    same = torch.equal(mixture, before[0]) and torch.equal(magnitude, before[1])
    expect(same, "The mixture or the magnitude has changed: work on copies.")
    vocals = torch.polar(magnitude, mixture.angle())
    alone = expectation_maximization(vocals[None], mixture)[0]
    hint = "The vocals are the whole mixture: give the filter the rest of the mixture, too."
    expect(not torch.allclose(got[0], alone, atol=1e-3), hint)
    both = torch.stack([vocals, mixture - vocals])
    right = expectation_maximization(both, mixture)
    flat = magnitude + 0j
    left = torch.polar((mixture.abs() - magnitude).clamp(min=0), mixture.angle())
    mistakes = {
        "They add up, but have not been filtered.": both,
        "The order should be vocals, then accompaniment.": right.flip(0),
        "This has been filtered once more than `n_iter` says.": expectation_maximization(
            both, mixture, 2
        ),
        "Start from vocals with the phase of the mixture.": expectation_maximization(
            torch.stack([flat, mixture - flat]), mixture
        ),
        "Subtract complex spectra, not magnitudes, to get the rest of the mixture.": (
            expectation_maximization(torch.stack([vocals, left]), mixture)
        ),
        "The accompaniment starts from the mixture minus the vocals, not from the whole mixture.": (
            expectation_maximization(torch.stack([vocals, mixture]), mixture)
        ),
    }
    for hint, mistake in mistakes.items():
        expect(not torch.allclose(got, mistake.to(got.dtype), atol=1e-3), hint)
    expect_close(got.sum(dim=0), mixture, "The two do not add up to the mixture.", 1e-3)
    hint = "Start from vocals with the mixture's phase, and from the mixture minus these vocals."
    expect_close(got, right, hint, 1e-3)
    thrice = torch.as_tensor(function(magnitude, mixture, 3))
    right = expectation_maximization(both, mixture, 3)
    expect_close(thrice, right, "`n_iter` says how often to filter.", 1e-3)
    return "Two stems that add up, from one net."


@check
def frame_weights(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 5: weights of frames for better spatial covariances, measured on three songs."""
    gain = sum(_gain_of_weights(function, *_stereo_song(seed)) for seed in range(3)) / 3
    hint = f"The mean SDR is {-gain:.1f} dB lower than with equal weights: which frames show the "
    expect(gain >= 0, f"{hint}position of a source?")
    found = f"The mean SDR is {gain:.1f} dB higher than with equal weights."
    hint = f"{found} A good answer gains 0.9 dB: frames that two sources share should count "
    expect(gain >= 0.9, f"{hint}much less than frames in which one source is alone.")
    return found


def _gain_of_weights(function: Callable, sources: Tensor, estimates: Tensor) -> float:
    """SDR in dB that a reader's weights gain over equal weights, on one song."""
    power = estimates.abs().square().mean(dim=1)
    given, shape = power.clone(), tuple(power.shape)
    weights = torch.as_tensor(function(given))
    expect(torch.equal(given, power), "The powers have changed: work on a copy.")
    hint = f"One weight per source, frequency and frame: the shape is {shape}, not "
    expect(tuple(weights.shape) == shape, f"{hint}{tuple(weights.shape)}.")
    expect(not weights.is_complex(), "The weights should be real numbers.")
    weights = weights.to(power.dtype)
    expect(weights.isfinite().all(), "Your weights contain a number that is infinite or NaN.")
    expect(weights.min() >= 0, "A weight is negative: covariances need weights of at least 0.")
    hint = "At some frequency all weights of a source are zero: add a small constant."
    expect((weights.sum(dim=-1) > 0).all(), hint)
    equal, share = torch.ones_like(power), power / power.sum(dim=0)
    mistakes = {
        "Equal weights are the baseline: which frames show the position of a source?": equal,
        "Loud frames count more already, though another source may be still louder.": power,
        "You prefer the frames in which other sources are louder.": 1 - share,
        "All sources have the same weights: a frame that suits one source harms another.": (
            share.amax(dim=0).expand(shape)
        ),
        "That is a share among frequencies: compare a source with the others in each bin.": (
            power / power.sum(dim=1, keepdim=True)
        ),
    }
    weights, *mistaken = (x / x.mean(dim=-1, keepdim=True) for x in (weights, *mistakes.values()))
    name_mistake(weights, dict(zip(mistakes, mistaken, strict=True)))
    got, baseline = (_filtered_sdr(x, sources, estimates) for x in (weights, equal))
    return got - baseline


def _stereo_song(seed: int) -> tuple[Tensor, Tensor]:
    """Sources near four points, and estimates with 15 % of the others' energy: (s, c, f, n)."""
    generator = torch.Generator().manual_seed(seed)
    s, f, n = 4, 24, 150

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    playing = torch.rand(s, 1, n // 10, generator=generator) < 0.6
    level = torch.tensor([2.0, 1.4, 1.0, 0.7])[:, None, None] * noise(s, f, n).exp()
    level = level * (0.01 + playing.repeat_interleave(10, dim=-1)).sqrt()
    angles = torch.pi / 2 * torch.tensor([0.1, 0.35, 0.65, 0.9])
    gains = torch.stack([angles.cos(), angles.sin()], dim=1)[:, :, None, None]
    point = gains * torch.complex(noise(s, 1, f, n), noise(s, 1, f, n))
    sources = point + 0.05 * torch.complex(noise(s, 2, f, n), noise(s, 2, f, n))
    sources = level[:, None] * sources
    energy = sources.abs().square()
    leaked = 0.85 * energy + 0.15 * energy.sum(dim=0)
    magnitude = leaked.sqrt() * (0.3 * noise(*leaked.shape)).exp()
    return sources, torch.polar(magnitude, sources.sum(dim=0).angle().expand_as(magnitude))


def _filtered_sdr(weights: Tensor, sources: Tensor, estimates: Tensor) -> float:
    """Mean SDR in dB of the multichannel Wiener filter with weighted covariances."""
    power, mixture = estimates.abs().square().mean(dim=1), sources.sum(dim=0)
    outer = torch.einsum("sfn,sifn,sjfn->sijf", weights + 0j, estimates, estimates.conj())
    covariance = outer / (weights * power).sum(dim=-1)[:, None, None]
    total = torch.einsum("sfn,sijf->ijfn", power + 0j, covariance)
    floor = (1e-5 + 1e-6 * power.sum(dim=0)) * torch.eye(2)[..., None, None]
    white = solve_hermitian(total + floor, mixture)
    filtered = power[:, None] * torch.einsum("sijf,jfn->sifn", covariance, white)
    energy, error = (x.abs().square().sum(dim=(1, 2, 3)) for x in (sources, sources - filtered))
    return (10 * torch.log10(energy / error)).mean().item()
