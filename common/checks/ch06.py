"""Checks of chapter 06, matrix factorisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.drum_mixtures import (
    N_COMPONENTS,
    brightest,
    centroid,
    factored,
    flatness,
    follows,
    loudness,
    mean_sdr,
    owned,
)
from common.checks.tensors import tensor
from common.classical.nmf import beta_divergence, update_activations

GOOD_SDR = 10.0
"""What a good answer to exercise 3 reaches, in dB."""


@check
def update_templates(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 1: one multiplicative update of the templates."""
    # All axes equally long first: a wrong axis then gives a wrong number and not an error.
    square = _noise(4, 4), _noise(4, 4, seed=1), _noise(4, 4, seed=2)
    got = _unchanged(function, *square)
    data, templates, activations = square
    ratio = data / (templates @ activations)
    upper, lower = ratio @ activations.T, activations.sum(dim=1)
    right = templates * upper / lower
    name_mistake(
        got,
        {
            "That is the Euclidean step.": _step(*square, beta=2),
            "That is the Itakura-Saito step.": _step(*square, beta=0),
            "That is the Itakura-Saito step without its square root.": (
                _step(*square, beta=0).square() / templates
            ),
            "These are new activations: return new templates.": (
                update_activations(data, templates, activations, 1)
            ),
            "The numerator goes above the denominator, not below.": templates * lower / upper,
            "The denominator is missing: what makes a template smaller?": templates * upper,
            "That is the factor alone: multiply the templates by it.": upper / lower,
            "The denominator of a component does not depend on the frame: sum over the other axis "
            "of the activations.": templates * upper / activations.sum(dim=0),
            "You divide each bin by a different denominator: it has one number per component, and "
            "components are the second axis of the templates.": templates * upper / lower[:, None],
            "The denominator adds up the wrong factor: what multiplies the templates?": (
                templates * upper / templates.sum(dim=0)
            ),
            "The numerator compares data with the model: divide by the model.": (
                templates * (data @ activations.T) / lower
            ),
            "The numerator of a component is a sum over frames: mind the transpose.": (
                templates * (ratio @ activations) / lower
            ),
            "You scale the templates to unit sums after the step, but not the activations: then "
            "the product changes.": right / right.sum(dim=0),
        },
    )
    hint = "Compare with the step for the activations: the two factors exchange roles."
    expect_close(got, right, hint, 1e-3)
    data, templates, activations = _noise(6, 9), _noise(6, 3, seed=1), _noise(3, 9, seed=2)
    got = _unchanged(function, data, templates, activations)
    expect(got.shape == (6, 3), f"Templates are (f, k), here (6, 3), not {tuple(got.shape)}.")
    expect_close(got, _step(data, templates, activations, 1), hint, 1e-3)
    before = beta_divergence(data, templates @ activations, 1)
    after = beta_divergence(data, got @ activations, 1)
    return f"One step took the divergence from {before:.2f} to {after:.2f}."


@check
def labelled_masks(function: Callable[[Tensor, Tensor, Sequence[int], int], Tensor]) -> str:
    """Exercise 2: masks from components with owners."""
    templates, activations = _noise(6, 5), _noise(5, 7, seed=1)
    masks = tensor(function(templates.clone(), activations.clone(), [0, 2, 0, 0, 2], 4))
    for n_masks, hint in (
        (3, "There are `n_sources` masks: the last sources may own no component."),
        (5, "One mask per source, and not per component: add up the components of a source."),
    ):
        expect(masks.shape != (n_masks, 6, 7), hint)
    expect(masks.shape == (4, 6, 7), f"Masks are (s, f, n), not {tuple(masks.shape)}.")
    expect(masks.isfinite().all(), "There is a NaN: a source without components divides 0 by 0.")
    parts = torch.einsum("fk,kn->kfn", templates, activations)
    models = _models(parts)
    counts = torch.tensor([3.0, 1.0, 2.0, 1.0])[:, None, None]
    last = _models(parts * torch.tensor([0.0, 0, 0, 1, 1])[:, None, None])
    name_mistake(
        masks,
        {
            "These are the models of the sources. A mask is a share: a share of what?": models,
            "Share magnitudes, not energies.": _share(models**2),
            "You square the components before adding them up: share magnitudes, not energies.": (
                _share(_models(parts**2))
            ),
            "You take the mean of a source's components: add them up.": _share(models / counts),
            "You take the mean of a source's components, and then the masks do not add up to 1.": (
                models / counts / parts.sum(dim=0)
            ),
            "Only one component of each source counts: add them all up.": _share(last),
            "Only one component of each source counts, and the rest is missing: add all up.": (
                last / parts.sum(dim=0)
            ),
            "You give each bin to one source: share it.": (models == models.amax(dim=0)).float(),
            "Your masks ignore the templates: a component has more of one bin than of another.": (
                _share(_models(activations[:, None].expand(5, 6, 7)))
            ),
            "Each mask is divided by its own maximum: divide by what all sources explain.": (
                (models / models.amax(dim=(1, 2), keepdim=True)).nan_to_num(0.0)
            ),
            "The owners count from 0: you have shifted them by one.": _share(models.roll(-1, 0)),
        },
    )
    expect(masks[1].abs().max() < 1e-6, "The second source owns nothing.")
    expect_close(masks.sum(dim=0), torch.ones(6, 7), "The masks should add up to 1 in each bin.")
    hint = "A mask is what the source's own components explain, over what all of them explain."
    expect_close(masks, _share(models), hint, 1e-3)
    other = tensor(function(templates.clone(), activations.clone(), [1, 1, 1, 0, 0], 2))
    right = _share(torch.stack([parts[3:].sum(dim=0), parts[:3].sum(dim=0)]))
    expect_close(other, right, "The masks are wrong for other owners: use `owners`.", 1e-3)
    return f"The masks add up to 1; the first source has {masks[0].mean():.0%} on average."


@check
def drum_components(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 3: which components are drums, measured by the SDR of the drums."""
    mixtures = [factored(seed) for seed in range(3)]
    chosen = []
    for mixture in mixtures:
        answer = _unchanged(function, mixture.templates, mixture.activations)
        shape = tuple(answer.shape)
        hint = f"Return one value for each of the {N_COMPONENTS} components, not {shape}."
        expect(shape == (N_COMPONENTS,), hint)
        expect(((answer == 0) | (answer == 1)).all(), "Return True or False for every component.")
        chosen.append(answer.bool())
    baseline, true = (
        mean_sdr(mixtures, [rule(mixture) for mixture in mixtures]) for rule in (brightest, owned)
    )
    reached = mean_sdr(mixtures, chosen)
    inverted = mean_sdr(mixtures, [~these for these in chosen])
    told = f"{reached:.1f} dB (baseline {baseline:.1f} dB, true owners {true:.1f} dB"
    if reached < GOOD_SDR:
        expect(inverted < GOOD_SDR, "These are the pitched components: invert your choice.")
        expect(any(these.any() for these in chosen), "You find no drums at all.")
        expect(not all(these.all() for these in chosen), "You choose all components as drums.")
        mistakes = {
            "the pitch: a bass drum is low, and a flute is high.": centroid,
            "the loudness: a drum can be louder or quieter than a note.": loudness,
            "the flatness of the whole spectrum: a bass drum has no high bins. Compare "
            "neighbouring bins.": flatness,
        }
        for what, feature in mistakes.items():
            expect(not follows(mixtures, chosen, feature), f"Your choice follows {what}")
    hint = "How much does a template change between neighbouring bins?"
    expect(reached >= GOOD_SDR, f"Your drums reach {told}, wanted {GOOD_SDR:g} dB). {hint}")
    return f"Your drums reach {told})."


@check
def sparse_step(function: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """Exercise 4: an update with a penalty on the square roots of the activations."""
    data, templates, activations = _noise(6, 9), _noise(6, 8, seed=1), _noise(8, 9, seed=2)
    given = data, templates, activations
    plain = update_activations(*given, 1)
    got = _unchanged(function, *given, 0.0)
    expect(got.shape == (8, 9), f"Activations are (k, n), here (8, 9), not {tuple(got.shape)}.")
    expect_close(got, plain, "With weight 0 it is the plain Kullback-Leibler step.", 1e-3)
    lower = templates.sum(dim=0)[:, None]
    upper, root = plain / activations * lower, activations.sqrt()
    weight = 0.5
    slope = weight / (2 * root)
    name_mistake(
        _unchanged(function, *given, weight),
        {
            "With a weight the step should change: use `weight`.": plain,
            "That is the step for a penalty on the plain sum. What is the derivative of a square "
            "root?": activations * upper / (lower + weight),
            "Nearly: the derivative of a square root has one more constant.": (
                activations * upper / (lower + 2 * slope)
            ),
            "You add the penalty itself: the step needs its derivative.": (
                activations * upper / (lower + weight * root)
            ),
            "You add the sum of the penalty: each activation has a derivative of its own.": (
                activations * upper / (lower + weight * root.sum())
            ),
            "Your penalty makes activations larger. The derivative is positive: to which part of "
            "the gradient does it belong?": activations * (upper + slope) / lower,
            "Your penalty is subtracted from the numerator, which may become negative: what else "
            "can hold a positive term?": activations * (upper - slope) / lower,
            "Your penalty is cut off below zero: a multiplicative step needs no clamp.": (
                activations * (upper - slope).clamp(min=0) / lower
            ),
            "You subtract the penalty after the step: it belongs in the factor.": (plain - slope),
            "You clamp after subtracting: the penalty belongs in the factor.": (
                (plain - slope).clamp(min=0)
            ),
            "You take the derivative at the new activations: take it at the given ones.": (
                plain * lower / (lower + weight / (2 * plain.sqrt()))
            ),
            "The numerator goes above the denominator, not below.": activations
            * (lower + slope)
            / upper,
        },
    )
    for weight in (0.5, 2.0):
        found = _unchanged(function, *given, weight)
        right = activations * upper / (lower + weight / (2 * root))
        hint = "What is the derivative of the penalty, and is it positive or negative?"
        expect_close(found, right, hint, 1e-3)
    few, many = (_active(_repeated(function, *given, weight)) for weight in (0.5, 0.0))
    return f"With the penalty {few:.0%} of the activations are active, without it {many:.0%}."


def _unchanged(function: Callable[..., Tensor], *given: Tensor | float) -> Tensor:
    """What a function answers, which must leave the tensors that it is given as they are."""
    copies = [x.clone() if isinstance(x, Tensor) else x for x in given]
    got = tensor(function(*copies)).clone()
    for before, after in zip(given, copies, strict=True):
        if isinstance(before, Tensor):
            expect(
                torch.equal(before, after),
                "Leave the tensors that you are given as they are, and return a new one.",
            )
    return got


def _repeated(
    function: Callable[..., Tensor],
    data: Tensor,
    templates: Tensor,
    activations: Tensor,
    weight: float,
) -> Tensor:
    """The activations after 300 steps."""
    for _ in range(300):
        activations = tensor(function(data, templates, activations, weight))
    return activations


def _step(data: Tensor, templates: Tensor, activations: Tensor, beta: float) -> Tensor:
    """The step for the activations, applied to the templates: transposed, they exchange roles."""
    return update_activations(data.T, activations.T, templates.T, beta).T


def _share(models: Tensor) -> Tensor:
    """Each source's share of all models, (s, f, n)."""
    return models / models.sum(dim=0)


def _models(parts: Tensor) -> Tensor:
    """Components (k, f, n) added up for four sources, of which only two own any."""
    nothing = torch.zeros_like(parts[0])
    return torch.stack([parts[[0, 2, 3]].sum(dim=0), nothing, parts[[1, 4]].sum(dim=0), nothing])


def _active(activations: Tensor) -> float:
    """The share of activations above a hundredth of the largest."""
    return (activations > 0.01 * activations.max()).float().mean().item()


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Positive numbers, the same ones every time."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) + 0.1
