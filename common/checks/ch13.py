"""Checks of chapter 13, Chimera."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.models.chimera import Chimera


@check
def equal_say(function: Callable[[Tensor, Tensor], float]) -> str:
    """Exercise 1: the weight at which both losses pull equally hard."""
    generator = torch.Generator().manual_seed(0)
    masks, places = torch.randn(2, 30, generator=generator)
    for factor in (1.0, 0.05, 8.0):
        weight = float(function(masks, factor * places))
        expect(0 < weight < 1, f"A weight lies between 0 and 1; {weight:.3g} does not.")
        pull_places = weight * factor * places.norm()
        pull_masks = (1 - weight) * masks.norm()
        swapped = (1 - weight) * factor * places.norm()
        hint = "That is the weight for the masks: the weight multiplies the clustering loss."
        expect(
            (swapped - weight * masks.norm()).abs() > 1e-4 * masks.norm()
            or (pull_places - pull_masks).abs() < 1e-4 * masks.norm(),
            hint,
        )
        hint = (
            f"At your weight the places pull with {pull_places:.4g} and the masks with "
            f"{pull_masks:.4g}: compare lengths (square, add, root)."
        )
        expect((pull_places - pull_masks).abs() < 1e-3 * pull_masks, hint)
    return f"A pull of 1 against one of 5 is evened out at {_even(5.0):.3f}."


def _even(times: float) -> float:
    """The weight for a clustering pull that is so many times weaker."""
    return times / (1 + times)


@check
def pointed_centroids(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: where one head's masks say that the other head's sources lie."""
    generator = torch.Generator().manual_seed(0)
    i, d, s = 40, 5, 3
    places = torch.nn.functional.normalize(torch.randn(i, d, generator=generator), dim=-1)
    masks = torch.rand(i, s, generator=generator)
    weights = torch.rand(i, generator=generator)
    before = [x.clone() for x in (places, masks, weights)]
    got = function(places, masks, weights)
    expect(tuple(got.shape) == (s, d), f"Centroids are (s, d) = {(s, d)}, not {tuple(got.shape)}.")
    shared = masks * weights[:, None]
    right = shared.mT @ places / shared.sum(dim=0)[:, None]
    plain = masks.mT @ places / masks.sum(dim=0)[:, None]
    expect(not torch.allclose(got, plain, atol=1e-4), "A loud bin should count for more.")
    undivided = shared.mT @ places
    expect(
        not torch.allclose(got, undivided, atol=1e-4),
        "That is a sum: divide it by all that was added, source by source.",
    )
    sphere = torch.nn.functional.normalize(right, dim=-1)
    hint = "A mean of points on the sphere lies inside it: leave it there."
    expect(not torch.allclose(got, sphere, atol=1e-4), hint)
    expect_close(got, right, "Each source's centroid is the mean place, by mask times weight.")
    same = all(torch.equal(x, y) for x, y in zip(before, (places, masks, weights), strict=True))
    expect(same, "You changed what you were given: make something new instead.")
    masks[:, 1] = 0
    nobody = function(places, masks, weights)
    hint = "A source whose mask is zero everywhere gives NaN: mind the division."
    expect(nobody.isfinite().all(), hint)
    expect_close(nobody[[0, 2]], right[[0, 2]], "A silent source should leave the others alone.")
    return "One head points, and the other one looks there."


@check
def flipped_signs(function: Callable[[list[float]], float]) -> str:
    """Exercise 3: how often chance alone gives as large a mean difference."""
    cases = (
        ([0.2, 0.3, 0.1], 0.25),
        ([0.2, 0.3, -0.1], 0.5),
        ([1.0, 1.0, 1.0, 1.0], 0.125),
        ([-0.4, -0.1, -0.3, -0.2, -0.6], 2 / 32),
        ([0.5, -0.5], 1.0),
        ([1.0, 2.0, 3.0, -4.0], 0.875),
    )
    for differences, right in cases:
        got = float(function(list(differences)))
        one_sided = abs(got - right / 2) < 1e-9
        hint = "Large means of either sign count, so take the absolute value of the mean."
        expect(not one_sided, hint)
        random = "Try all patterns of signs, not some of them: there are 2 to the power of n."
        expect(abs(got * 2 ** len(differences) % 1) < 1e-6, random)
        expect(got > 0, "The pattern that was measured is one of them, so the share is not 0.")
        hint = f"For {differences} the share is {right:.3f}, not {got:.3f}."
        expect(abs(got - right) < 1e-9, hint)
    rounded = float(function([1.1, 2.2, -3.3, 0.5]))
    hint = "Rounding decided: two sums that are equal on paper differ in the last digit, so allow"
    expect(abs(rounded - 1.0) < 1e-9, hint + " a little room in ≥.")
    return f"Three seeds that all agree give {float(function([1.0, 1.0, 1.0])):.2f} at best."


@check
def listener(make: Callable[[Chimera], Chimera]) -> str:
    """Exercise 4: a head that listens to the body and has no say in it."""
    torch.manual_seed(0)
    net = Chimera(n_bins=9, n_dimensions=3, hidden_size=4, n_layers=1, dropout=0.0)
    magnitude = torch.rand(2, 1, 9, 6)
    probe = make(net)
    answer, right = probe(magnitude), net(magnitude)
    expect(hasattr(answer, "masks"), "The answer has two parts by name: a ChimeraOutput.")
    for name in ("embeddings", "masks"):
        got, wanted = getattr(answer, name), getattr(right, name)
        expect_close(got.detach(), wanted.detach(), f"The {name} themselves should not change.")
    own = dict(net.named_parameters())
    reached = _reached(answer.embeddings, own)
    hint = "The places still pull at the body: cut between the features and the embedding head."
    expect(not any(name.startswith(("stack", "log")) for name in reached), hint)
    hint = "Nothing reaches the net that was given: cut one branch, use no copies of weights."
    expect(reached or _reached(answer.masks, own), hint)
    hint = "Now the embedding head learns nothing either: cut in front of it, not behind it."
    expect(any(name.startswith("places") for name in reached), hint)
    reached = _reached(probe(magnitude).masks, own)
    hint = "The masks should train the body as before: cut one branch, not both."
    expect(any(name.startswith("stack") for name in reached), hint)
    hint = "The masks should reach their own head: cut nothing there."
    expect(any(name.startswith("masks") for name in reached), hint)
    return "The head hears everything and is not heard."


def _reached(output: Tensor, parameters: dict[str, Tensor]) -> list[str]:
    """Names of the parameters that a gradient from the output arrives at."""
    if not output.requires_grad:
        return []
    weights = torch.linspace(0.5, 1.5, output.numel()).reshape(output.shape)
    grads = torch.autograd.grad(
        (weights * output).sum(), list(parameters.values()), allow_unused=True
    )
    return [
        name
        for name, grad in zip(parameters, grads, strict=True)
        if grad is not None and grad.abs().max() > 1e-9
    ]
