"""Answers to the exercises of chapter 03."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from answers import Answers


def ratio_divided_first(magnitudes, power):
    loudest = magnitudes.amax(dim=0).clamp(min=1e-10)
    shares = (magnitudes / loudest) ** power
    return shares / shares.sum(dim=0).clamp(min=1e-10)


def ratio_in_double(magnitudes, power):
    raised = magnitudes.double() ** power
    total = raised.sum(dim=0, keepdim=True)
    return torch.where(total > 0, raised / total, 0.0)


def ratio_numpy_loop(magnitudes, power):
    magnitudes = np.asarray(magnitudes, dtype=np.float64)
    masks = np.zeros_like(magnitudes)
    for bin_ in np.ndindex(magnitudes.shape[1:]):
        values = magnitudes[(slice(None), *bin_)]
        if values.max() > 0:
            masks[(slice(None), *bin_)] = values**power / (values**power).sum()
    return masks


def ratio_by_softmax(magnitudes, power):
    return (power * magnitudes.log()).softmax(dim=0).nan_to_num(0.0)


def ratio_with_epsilon(magnitudes, power):
    raised = magnitudes**power
    return raised / (raised.sum(dim=0) + 1e-10)


def shared_along(axis):
    def wrong(magnitudes, power):
        raised = magnitudes**power
        return raised / (raised.sum(dim=axis, keepdim=True) + 1e-10)

    return wrong


def ratio_everything(magnitudes, power):
    raised = magnitudes**power
    return raised / raised.sum().clamp(min=1e-10)


def ratio_power_last(magnitudes, power):
    return (magnitudes / magnitudes.sum(dim=0).clamp(min=1e-10)) ** power


def ratio_nan(magnitudes, power):
    loudest = magnitudes.amax(dim=0)
    shares = (magnitudes / loudest) ** power
    return shares / shares.sum(dim=0)


def ratio_fair_in_silence(magnitudes, power):
    raised = (magnitudes / magnitudes.amax(dim=0).clamp(min=1e-10)) ** power + 1e-10
    return raised / raised.sum(dim=0)


def ratio_binary(magnitudes, power):
    return (magnitudes == magnitudes.max(dim=0).values).float()


def gains_by_sums(source, mixture):
    shared = (source * mixture.conj()).real.sum(dim=-1, keepdim=True)
    return shared / mixture.abs().square().sum(dim=-1, keepdim=True)


def gains_by_lstsq(source, mixture):
    gains = []
    for s, x in zip(source.numpy(), mixture.numpy(), strict=True):
        columns = np.concatenate([x.real, x.imag])[:, None]
        found, *_ = np.linalg.lstsq(columns, np.concatenate([s.real, s.imag]), rcond=None)
        gains.append(found)
    return np.array(gains)


def gains_by_parts_in_double(source, mixture):
    source, mixture = source.to(torch.complex128), mixture.to(torch.complex128)
    shared = source.real * mixture.real + source.imag * mixture.imag
    energy = mixture.real**2 + mixture.imag**2
    return (shared.sum(1) / energy.sum(1)).unsqueeze(1)


def gains_by_gradient(source, mixture):
    gains = torch.ones(len(source), 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([gains], max_iter=100, line_search_fn="strong_wolfe")

    def error():
        optimiser.zero_grad()
        loss = (source - gains * mixture).abs().square().mean()
        loss.backward()
        return loss

    optimiser.step(error)
    return gains


def gains_complex(source, mixture):
    shared = (source * mixture.conj()).sum(dim=-1, keepdim=True)
    return shared / mixture.abs().square().sum(dim=-1, keepdim=True)


def gains_mean_of_ratios(source, mixture):
    gains = (source * mixture.conj()).real / mixture.abs().square()
    return gains.mean(dim=-1, keepdim=True)


def gains_of_lengths(source, mixture):
    shared = (source.abs() * mixture.abs()).sum(dim=-1, keepdim=True)
    return shared / mixture.abs().square().sum(dim=-1, keepdim=True)


def gains_of_energies(source, mixture):
    energies = (x.abs().square().sum(dim=-1, keepdim=True) for x in (source, mixture))
    return next(energies) / next(energies)


def gains_over_source(source, mixture):
    shared = (source * mixture.conj()).real.sum(dim=-1, keepdim=True)
    return shared / source.abs().square().sum(dim=-1, keepdim=True)


def gains_per_frame(source, mixture):
    return (source * mixture.conj()).real / mixture.abs().square()


def one_gain(source, mixture):
    return (source * mixture.conj()).real.sum() / mixture.abs().square().sum()


def bound_by_search(theta):
    masks = np.linspace(-2, 2, 40001)
    source = complex(math.cos(theta), math.sin(theta))  # the mixture is 1
    return -10 * np.log10((np.abs(source - masks) ** 2).min())


def bound_by_pythagoras(theta):
    theta = torch.tensor(theta, dtype=torch.float64)
    return 10 * torch.log10(1 / (1 - theta.cos().square()))


def bound_without_negative_masks(theta):
    return -20 * math.log10(math.sin(theta)) if theta < math.pi / 2 else 0.0


def bound_nan(theta):
    return -20 * torch.log10(torch.tan(torch.tensor(theta)) * torch.cos(torch.tensor(theta)).abs())


def consistent_loop(masks):
    changed = torch.empty_like(masks)
    for s in range(len(masks)):
        changed[s] = masks[s] + (1 - masks.sum(dim=0)) / len(masks)
    return changed


def consistent_numpy(masks):
    masks = np.asarray(masks, dtype=np.float64)
    return masks - masks.mean(axis=0) + 1 / len(masks)


def consistent_by_projection(masks):
    n = len(masks)
    centre = torch.eye(n) - torch.full((n, n), 1 / n)
    return torch.einsum("ab,bcfn->acfn", centre, masks) + 1 / n


def consistent_in_place(masks):
    masks += (1 - masks.sum(dim=0)) / masks.shape[0]
    return masks


def consistent_on_the_simplex(masks):
    """The nearest masks that are not negative either."""
    ordered, _ = masks.sort(dim=0, descending=True)
    count = torch.arange(1, len(masks) + 1).view(-1, 1, 1, 1)
    over = (ordered.cumsum(dim=0) - 1) / count
    last = (ordered > over).sum(dim=0, keepdim=True) - 1
    return (masks - over.gather(0, last)).clamp(min=0)


def one_takes_all(masks):
    changed = masks.clone()
    changed[-1] += 1 - masks.sum(dim=0)
    return changed


def clamped_after(masks):
    return (masks + (1 - masks.sum(dim=0)) / len(masks)).clamp(0, 1)


def wiener(magnitudes):
    energy = magnitudes**2
    return energy / energy.sum(dim=0).clamp(min=1e-10)


def medians(width):
    """The Wiener mask of magnitudes after a median over some frames."""

    def masks(magnitudes):
        half = width // 2
        padded = functional.pad(magnitudes, (half, half), mode="replicate")
        return wiener(padded.unfold(-1, width, 1).median(dim=-1).values)

    return masks


def mean_level(magnitudes):
    """The mean of the levels of five frames, in NumPy."""
    level = 20 * np.log10(magnitudes.numpy() + 1e-6)
    return wiener(10 ** torch.from_numpy(ndimage.uniform_filter1d(level, 5, axis=-1) / 20))


def mean_energy(magnitudes):
    """Energies that are averaged by an exponential window in both directions, by loops."""
    energy = magnitudes.double() ** 2
    forward, backward = energy.clone(), energy.clone()
    for n in range(1, energy.shape[-1]):
        forward[..., n] = 0.5 * energy[..., n] + 0.5 * forward[..., n - 1]
        backward[..., -1 - n] = 0.5 * energy[..., -1 - n] + 0.5 * backward[..., -n]
    return wiener((forward + backward).sqrt())


def smoothed_masks(magnitudes):
    """Smooth the masks instead of the magnitudes."""
    masks = functional.pad(wiener(magnitudes), (2, 2), mode="replicate")
    return masks.unfold(-1, 5, 1).mean(dim=-1)


def medians_over_frequency(magnitudes):
    return medians(5)(magnitudes.mT).mT


def binary(magnitudes):
    return (magnitudes == magnitudes.amax(dim=0)).float()


ANSWERS = {
    "ratio_mask": Answers(
        right={
            "divided by the loudest first": ratio_divided_first,
            "double precision": ratio_in_double,
            "NumPy, bin by bin": ratio_numpy_loop,
            "softmax of logarithms": ratio_by_softmax,
        },
        wrong={
            "no power": (
                lambda magnitudes, power: ratio_divided_first(magnitudes, 1.0),
                "use `power`",
            ),
            "power last": (ratio_power_last, "not the finished masks"),
            "over frequencies": (shared_along(1), "add up over frequencies"),
            "over frames": (shared_along(-1), "add up over frames"),
            "over everything": (ratio_everything, "each bin has a sum of its own"),
            "softmax": (lambda m, power: (power * m).softmax(dim=0), "That is a softmax"),
            "binary": (ratio_binary, "everything to the loudest"),
            "0/0 in silence": (ratio_nan, "divide 0 by 0"),
            "fair in silence": (ratio_fair_in_silence, "must be 0, not equal shares"),
            "overflow": (ratio_with_epsilon, "to the power of 30 is too large"),
            "no source axis": (lambda m, power: ratio_divided_first(m, power)[0], "keep the shape"),
        },
    ),
    "best_equaliser": Answers(
        right={
            "two sums": gains_by_sums,
            "NumPy's least squares in a loop": gains_by_lstsq,
            "real and imaginary parts in double precision": gains_by_parts_in_double,
            "gradient descent": gains_by_gradient,
        },
        wrong={
            "complex gains": (gains_complex, "real numbers"),
            "mean of ratios": (gains_mean_of_ratios, "average the gains of the frames"),
            "lengths only": (gains_of_lengths, "You use magnitudes only"),
            "ratio of energies": (gains_of_energies, "ratio of energies"),
            "ratio of magnitudes": (
                lambda s, x: gains_of_energies(s, x).sqrt(),
                "ratio of magnitudes",
            ),
            "over the source": (gains_over_source, "divide by the energy of the source"),
            "clamped": (lambda s, x: gains_by_sums(s, x).clamp(0, 1), "limited to 0..1"),
            "rectified": (lambda s, x: gains_by_sums(s, x).relu(), "None of your gains"),
            "made positive": (lambda s, x: gains_by_sums(s, x).abs(), "the absolute value"),
            "a mask": (gains_per_frame, "a mask with a gain per frame"),
            "one gain": (one_gain, "one gain for all frequencies"),
            "flat": (lambda s, x: gains_by_sums(s, x)[:, 0], "(f, 1), not (6,)"),
        },
    ),
    "upper_bound": Answers(
        right={
            "sine, math": lambda theta: -20 * math.log10(abs(math.sin(theta))),
            "Pythagoras, torch, double precision": bound_by_pythagoras,
            "sine, NumPy array": lambda theta: np.array([-20 * np.log10(np.sin(theta))]),
            "tried masks": bound_by_search,
        },
        wrong={
            "ten, not twenty": (
                lambda theta: -10 * math.log10(math.sin(theta)),
                "energies are squares",
            ),
            "upside down": (lambda theta: 20 * math.log10(math.sin(theta)), "sign is wrong"),
            "cosine": (lambda theta: -20 * math.log10(abs(math.cos(theta))), "of the projection"),
            "degrees": (
                lambda theta: -20 * math.log10(math.sin(math.radians(theta))),
                "given in radians",
            ),
            "natural logarithm": (lambda theta: -20 * math.log(math.sin(theta)), "the base 10"),
            "projection over error": (
                lambda theta: -20 * math.log10(abs(math.tan(theta))),
                "the whole source",
            ),
            "no negative masks": (bound_without_negative_masks, "you use a mask of 0"),
            "a mask of 1": (
                lambda theta: -20 * math.log10(2 * math.sin(theta / 2)),
                "the error of a mask of 1",
            ),
            "NaN beyond a right angle": (bound_nan, "you get NaN"),
            "no decibels": (lambda theta: 1 / math.sin(theta) ** 2, "not yet in dB"),
        },
    ),
    "make_consistent": Answers(
        right={
            "one line": lambda masks: masks + (1 - masks.sum(dim=0, keepdim=True)) / len(masks),
            "loop": consistent_loop,
            "NumPy in double precision": consistent_numpy,
            "projection matrix": consistent_by_projection,
            "in place": consistent_in_place,
        },
        wrong={
            "divided by the sum": (lambda masks: masks / masks.sum(dim=0), "divide by the sum"),
            "channels": (
                lambda masks: masks / masks.sum(dim=1, keepdim=True),
                "Which axis are the sources",
            ),
            "softmax": (lambda masks: masks.softmax(dim=0), "That is a softmax"),
            "all missing to all": (lambda masks: masks + 1 - masks.sum(dim=0), "three times"),
            "mean taken off": (lambda masks: masks - masks.mean(dim=0), "leaves a sum of 0"),
            "last takes all": (one_takes_all, "One source gets all"),
            "clamped": (clamped_after, "clamp the masks"),
            "simplex": (consistent_on_the_simplex, "None of your masks is negative"),
        },
    ),
    "better_masks": Answers(
        right={
            "median of five frames": medians(5),
            "mean level, NumPy": mean_level,
            "exponential window, double precision": mean_energy,
            "median of three frames": medians(3),
        },
        wrong={
            "the Wiener mask": (wiener, "That is the Wiener mask"),
            "a binary mask": (binary, "That is the binary mask"),
            "a ratio mask": (lambda m: m / m.sum(dim=0), "You treat each frame alone"),
            "over frequencies": (medians_over_frequency, "You treat each frame alone"),
            "all frames": (
                lambda m: wiener(m.mean(dim=-1, keepdim=True).expand_as(m)),
                "that is a fixed filter",
            ),
            "too many frames": (medians(61), "average over fewer frames"),
            "smoothed masks": (smoothed_masks, "a good answer gains 0.8 dB"),
            "no source axis": (lambda m: wiener(m)[0], "keep the shape"),
            "NaN": (lambda m: wiener(m) / 0, "infinite or NaN"),
        },
    ),
}
