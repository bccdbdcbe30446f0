"""Checks of chapter 06, factorization."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.classical.nmf import beta_divergence, update_activations


@check
def update_sounds(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 1: one multiplicative step for the sounds."""
    data, sounds, activations = _noise(6, 9), _noise(6, 3, seed=1), _noise(3, 9, seed=2)
    kept = data.clone(), sounds.clone(), activations.clone()
    got = _tensor(function(data, sounds, activations))
    same = all(torch.equal(a, b) for a, b in zip((data, sounds, activations), kept, strict=True))
    expect(same, "Leave what you are given as it is, and return something new.")
    expect(tuple(got.shape) == (6, 3), f"Sounds are (f, k), here (6, 3), not {tuple(got.shape)}.")
    right = update_activations(data.T, activations.T, sounds.T, 1).T
    euclidean = update_activations(data.T, activations.T, sounds.T, 2).T
    expect(not torch.allclose(got, euclidean, rtol=1e-3), "That is the Euclidean step.")
    upside_down = sounds * sounds / right
    expect(not torch.allclose(got, upside_down, rtol=1e-3), "Pull goes above push, not below.")
    hint = "Pull is (data / model) @ activations.T; push adds up activations over time."
    expect_close(got, right, hint)
    before = beta_divergence(data, sounds @ activations, 1)
    after = beta_divergence(data, got @ activations, 1)
    return f"One step took the divergence from {before:.2f} to {after:.2f}."


@check
def growth(function: Callable[[float, float], float]) -> str:
    """Exercise 2: how divergences scale."""
    data, model = _noise(4, 4), _noise(4, 4, seed=1)
    for beta, name in ((2, "Euclidean"), (1, "Kullback-Leibler"), (0, "Itakura-Saito")):
        for gain in (2.0, 5.0):
            before = beta_divergence(data, model, beta)
            right = (beta_divergence(gain * data, gain * model, beta) / before).item()
            got = float(function(beta, gain))
            hint = f"{name}: put gain × data and gain × model into it. What can be taken out?"
            expect(abs(got - right) < 1e-3 * right, hint)
    return "At ten times the level the Euclidean error is 100 times, Itakura-Saito's the same."


@check
def labelled_masks(function: Callable[[Tensor, Tensor, Sequence[int], int], Tensor]) -> str:
    """Exercise 3: masks from components with owners."""
    sounds, activations = _noise(5, 4), _noise(4, 7, seed=1)
    masks = _tensor(function(sounds, activations, [0, 2, 0, 2], 3))
    expect(tuple(masks.shape) == (3, 5, 7), f"Masks are (s, f, n), not {tuple(masks.shape)}.")
    expect(torch.isfinite(masks).all(), "There is a number that is none: what is 0 / 0?")
    expect(masks[1].abs().max() < 1e-6, "The second source owns nothing.")
    expect_close(masks.sum(dim=0), torch.ones(5, 7), "The masks should add up to 1 in each bin.")
    first = sounds[:, [0, 2]] @ activations[[0, 2]]
    power = first**2 / (first**2 + (sounds[:, [1, 3]] @ activations[[1, 3]]) ** 2)
    expect(not torch.allclose(masks[0], power, atol=1e-3), "Share out magnitudes, not energies.")
    hint = "A mask is what the source's own components explain, over what all of them explain."
    expect_close(masks[0], first / (sounds @ activations), hint, 1e-3)
    other = _tensor(function(sounds, activations, [1, 1, 1, 0], 2))
    right = sounds[:, [3]] @ activations[[3]] / (sounds @ activations)
    expect_close(other[0], right, "With other owners it goes wrong: do you use `owners`?", 1e-3)
    return f"The first source gets {masks[0].mean():.0%} of the toy, and all of it is shared out."


@check
def sparse_step(function: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """Exercise 4: a step with a price on activations."""
    data, sounds, activations = _noise(6, 9), _noise(6, 8, seed=1), _noise(8, 9, seed=2)
    kept = activations.clone()
    got = _tensor(function(data, sounds, activations, 0.0))
    expect(torch.equal(activations, kept), "Leave the activations that you are given as they are.")
    expect_close(
        got, update_activations(data, sounds, activations, 1), "With weight 0 it is the plain step."
    )
    for weight in (0.5, 2.0):
        right = got * sounds.sum(dim=0)[:, None] / (sounds.sum(dim=0)[:, None] + weight)
        hint = "The price has the derivative `weight` in every entry, and it joins the push."
        found = _tensor(function(data, sounds, activations, weight))
        expect_close(found, right, hint, 1e-3)
    for _ in range(300):
        activations = _tensor(function(data, sounds, activations, 0.5))
    plain = kept
    for _ in range(300):
        plain = _tensor(function(data, sounds, plain, 0.0))
    few, many = _active(activations), _active(plain)
    return f"With a price {few:.0%} of the activations matter, without one {many:.0%}."


def _tensor(answer: object) -> Tensor:
    """What came back, as a float32 tensor: arrays and other precisions are right as well."""
    return torch.as_tensor(answer).detach().float()


def _active(activations: Tensor) -> float:
    """The share of activations above a hundredth of the largest."""
    return (activations > 0.01 * activations.max()).float().mean().item()


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Positive numbers, the same ones every time."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) + 0.1
