"""Checks of chapter 10, training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from common.checks import Hint, check, expect, expect_close, name_mistake


def _signals() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    mixture = 1 + 3 * torch.randn(2, 500, generator=generator)
    return mixture, 0.3 * mixture + torch.randn(2, 500, generator=generator)


@check
def l1_gradient(function: Callable[[float, Tensor, Tensor], Tensor]) -> str:
    """Exercise 1: the gradient of the mean absolute error."""
    mixture, vocals = _signals()
    got = torch.as_tensor(function(0.7, mixture.clone(), vocals.clone())).detach()
    hint = f"The derivative is one number for all samples, not {tuple(got.shape)}."
    expect(got.numel() == 1, hint)
    error = 0.7 * mixture - vocals
    mistakes = {
        "That is the loss itself: return its derivative.": error.abs().mean(),
        "That is the derivative of the squared error: here the error is absolute.": (
            2 * (error * mixture).mean()
        ),
        "The chain rule: the derivative of the error with respect to g is x.": error.sign().mean(),
        "The sign is reversed: the error is g x minus v.": -(error.sign() * mixture).mean(),
        "That is the sum over samples: the loss is a mean.": (error.sign() * mixture).sum(),
        "x keeps its sign: take no absolute value of a sample's derivative.": mixture.abs().mean(),
        "x keeps its sign: the error grows by x, not by its absolute value.": (
            error.sign() * mixture.abs()
        ).mean(),
        "The size of the error does not count, only its sign.": (error * mixture).mean(),
        "The sign is that of each sample's error, not of their mean.": (
            error.mean().sign() * mixture.mean()
        ),
        "The sign is that of the error, not of the target.": (vocals.sign() * mixture).mean(),
    }
    name_mistake(got.reshape(()), mistakes)
    one = function(1.0, torch.tensor([2.0, -3.0]), torch.tensor([5.0, 0.0]))
    hint = "For x = (2, -3), v = (5, 0), g = 1 the two derivatives are -2 and +3."
    expect_close(torch.as_tensor(one).reshape(()), 0.5, hint)
    for value in (-0.5, 0.2, 1.5):
        gain = torch.tensor(value, requires_grad=True)
        (gain * mixture - vocals).abs().mean().backward()
        got = torch.as_tensor(function(value, mixture, vocals)).reshape(())
        hint = f"At g = {value} autograd finds another value: check signs and mean."
        expect_close(got, gain.grad, hint)
    return "Only signs count: large errors weigh no more than small ones."


CURVATURES, START, NOISE = (1.0, 0.1), 10.0, 0.3
"""Exercise 2: the loss is the sum of c w² / 2 over both curvatures c, from w = START on."""

REACHED = 0.6
"""The highest final loss of a good schedule, relative to that of the best constant rate."""


def _remaining(rates: Sequence[float]) -> tuple[float, float]:
    """The expected loss after noisy steps: the part of the mean distance, and that of the noise.

    A step takes the mean of w to (1 - rate c) times itself, and the variance to the square of that
    factor times itself plus (rate NOISE)².
    """
    from_distance, from_noise = 0.0, 0.0
    for curvature in CURVATURES:
        mean, variance = START, 0.0
        for rate in rates:
            factor = 1 - rate * curvature
            mean *= factor
            variance = factor * factor * variance + rate * rate * NOISE**2
        from_distance += 0.5 * curvature * mean * mean  # inf where ** would raise
        from_noise += 0.5 * curvature * variance
    return from_distance, from_noise


@check
def schedule(function: Callable[[int, int], float]) -> str:
    """Exercise 2: a learning-rate schedule that beats every constant rate."""

    def share(steps: int) -> float:
        rates = [float(function(step, steps)) for step in range(steps)]
        allowed = all(math.isfinite(rate) and rate >= 0 for rate in rates)
        expect(allowed, "A learning rate is finite and not negative.")
        hint = "This rate is constant: begin with a higher rate and let it fall."
        expect(max(rates) > 1.001 * min(rates), hint)
        from_distance, from_noise = _remaining(rates)
        loss, first = from_distance + from_noise, 0.5 * sum(CURVATURES) * START**2
        hint = "The run diverges: the largest curvature is 1, so rates above 2 are unstable."
        expect(loss < first, hint)
        constant = min(sum(_remaining([k / 100] * steps)) for k in range(1, 200))
        found = f"After {steps} steps this leaves {loss / constant:.2f} times the reference."
        if loss > REACHED * constant:
            expect(rates[-1] < max(rates), f"{found} The rate is highest at the end: let it fall.")
            hint = f"{found} Most of it is distance to the minimum: keep the rate high for longer."
            expect(from_noise >= from_distance, hint)
            expect(steps == 100, f"{found} For 100 steps it was enough: is `steps` used?")
            raise Hint(f"{found} Most of it is noise: let the rate fall further in the last steps.")
        return loss / constant

    short, long = share(100), share(200)
    return f"After 100 steps it leaves {short:.2f} times the reference, after 200 steps {long:.2f}."


@check
def clip(function: Callable[[Sequence[Tensor], float], Sequence[Tensor]]) -> str:
    """Exercise 3: gradients clipped by their common norm."""
    kept = [torch.tensor([1.0, 2.0]), torch.tensor([[2.0], [4.0]])]

    def clipped(given: list[Tensor], longest: float) -> list[Tensor]:
        got = [torch.as_tensor(x) for x in function([x.clone() for x in given], longest)]
        expect(len(got) == len(given), "One gradient for each that was given.")
        same = all(x.shape == y.shape for x, y in zip(got, given, strict=True))
        expect(same, "Each gradient keeps its shape.")
        return got

    def flat(gradients: list[Tensor]) -> Tensor:
        return torch.cat([x.flatten() for x in gradients])

    got, given = flat(clipped(kept, 1.0)), flat(kept)
    mistakes = {
        "The norm is the same as before: scale the gradients down.": given,
        "Each gradient is clipped separately, which turns the vector: use one norm.": (
            torch.cat([x.flatten() / x.norm() for x in kept])
        ),
        "Each entry is clipped separately, which turns the vector: use one norm.": (
            given.clamp(max=1.0)
        ),
        "The norm is the root of the sum of squares: the root is missing.": given / 25,
        "That is the sum of the norms: squares add up, norms do not.": (
            given / sum(x.norm() for x in kept)
        ),
        "That is the sum of the entries: take the root of the sum of squares.": given / 9,
        "That is the largest entry: the norm is of all of them.": given / 4,
        "That is the mean of the squares: the norm has their sum.": given / 2.5,
    }
    name_mistake(got, mistakes)
    expect_close(got, given / 5, "Clipped to 1, a norm of 5 makes every entry a fifth.")
    hint = "Clipped to 2, a norm of 5 makes 2/5 of every entry: use `longest`."
    expect_close(flat(clipped(kept, 2.0)), given * 2 / 5, hint)
    hint = "These have a norm of 5 together: a limit of 10 leaves them as they are."
    expect_close(flat(clipped(kept, 10.0)), given, hint)
    hint = "A norm of 0.5 is under the limit of 1: leave it as it is."
    expect_close(flat(clipped([x / 10 for x in kept], 1.0)), given / 10, hint)
    generator = torch.Generator().manual_seed(0)
    more = [torch.randn(shape, generator=generator) for shape in ((3, 4), (5,), (), (2, 1, 2))]
    hint = "Four gradients, one of them a single number: all entries are one long vector."
    expect_close(flat(clipped(more, 0.7)), flat(more) * 0.7 / flat(more).norm(), hint)
    silent = clipped([torch.zeros(3)], 1.0)[0]
    expect_close(silent, torch.zeros(3), "A zero gradient stays zero: avoid the division by zero.")
    return "The direction is kept, and the norm is at most the limit."


class _Accumulation:
    """A linear net trained on one batch, whole or in parts."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.inputs, self.targets = (torch.randn(8, 3, generator=generator) for _ in range(2))
        self.waiting = 0  # parts whose gradients had not arrived when the next was computed

    def objective(self, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return (net(x) - y).square().mean()

    def watched(self, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        self.waiting += net.weight.grad is None or not net.weight.grad.any()
        return self.objective(net, x, y)

    def train(self, update: Callable[..., float], n_parts: int, steps: int = 1):
        """The weights after some steps, and the last loss."""
        net = nn.Linear(3, 3)
        with torch.no_grad():
            net.weight.copy_(torch.eye(3))
            net.bias.zero_()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
        size = len(self.inputs) // n_parts
        parts = list(zip(self.inputs.split(size), self.targets.split(size), strict=True))
        for _ in range(steps):
            loss = float(update(net, self.watched, optimiser, parts))
        return net.weight.detach(), loss


def _update(net, objective, optimiser, parts) -> float:
    """One step for each part; the last loss."""
    for part in parts:
        optimiser.zero_grad()
        loss = objective(net, *part)
        loss.backward()
        optimiser.step()
    return loss.item()


@check
def step_in_parts(function: Callable[..., float]) -> str:
    """Exercise 4: gradient accumulation equals the whole batch."""
    batch, start = _Accumulation(), torch.eye(3)
    whole, whole_loss = batch.train(_update, 1)
    last, last_loss = batch.train(lambda *x: _update(*x[:3], x[3][-1:]), 2)
    first, _ = batch.train(lambda *x: _update(*x[:3], x[3][:1]), 2)
    in_turn, _ = batch.train(_update, 2)
    batch.waiting = 0
    weights, loss = batch.train(function, 2)
    waiting = batch.waiting
    hint = "Only the last part counts: gradients are set to zero between the parts."
    mistakes = {
        "The weights have not moved: where is the step?": start,
        "The step is twice as long as it should be: two means add up to a sum.": 2 * whole - start,
        "The step is half as long as it should be: divide only once.": (whole + start) / 2,
        hint: last,
        f"{hint} (And what is left is halved.)": (last + start) / 2,
        "Only the first part counts: add up the gradients of all.": first,
        "That is one step per part: take one step after the last part.": in_turn,
        "The weights moved along the gradient: the step must reduce the loss.": 2 * start - whole,
    }
    name_mistake(weights, mistakes)
    expect_close(weights, whole, "The step differs from that of the whole batch.")
    losses = {
        "That is the loss of the last part: return the mean over all.": last_loss,
        "That is the sum of the losses: return their mean.": 2 * whole_loss,
        "The returned loss is divided once too often.": whole_loss / 2,
    }
    name_mistake(loss, losses)
    expect_close(loss, whole_loss, "Return the mean loss over all parts.")
    hint = "The first step is right, later ones are not: are old gradients reset?"
    expect_close(batch.train(function, 2, 3)[0], batch.train(_update, 1, 3)[0], hint)
    weights, loss = batch.train(function, 4)
    hint = "With four parts the step is not that of the batch: use the number of parts."
    expect_close(weights, whole, hint)
    expect_close(loss, whole_loss, "With four parts the mean loss is not that of the batch.")
    hint = "Call `backward` on each part before the next is computed: that is what saves memory."
    expect(waiting <= 1, hint)
    return "The step in parts equals the step of the whole batch."


@check
def best_step(function: Callable[[Sequence[tuple[int, float]], int], int]) -> str:
    """Exercise 5: early stopping."""

    def step(losses: Sequence[float], patience: int) -> int:
        run = [(10 * k, loss) for k, loss in enumerate(losses, 1)]
        got = function(run, patience)
        hint = "Return the step alone, not the pair of step and loss."
        expect(not isinstance(got, (tuple, list)), hint)
        return int(got)

    got = step((3.0, 2.0, 1.0), 2)
    places = {
        "That is its index in the list: return the step.": 2,
        "That is the loss: return the step.": 1,
    }
    name_mistake(got, places, 0)
    expect(got == 30, "A run that still improves keeps its last step.")
    got = step((3.0, 1.0, 1.5, 1.2), 5)
    hint = "Keep the step with the lowest loss: the last is not the best here."
    expect(got == 20, hint)
    expect(step((3.0, 2.0, 2.5, 1.0, 1.1), 2) == 40, "One bad validation is fewer than patience 2.")
    got = step((3.0, 1.0, 1.5, 1.4, 0.9), 2)
    name_mistake(got, {"That is where the run stops: return the best step seen until then.": 40}, 0)
    late = step((3.0, 2.0, 2.5, 2.6, 1.0), 2)
    later = step((3.0, 2.0, 2.5, 2.6, 2.7, 1.0), 2)
    hint = "Is `patience` used? Later validations are never seen."
    expect(late != 50 or later != 60, hint)
    hint = "Patience 2 ends after two validations without improvement, not after three."
    expect(late != 50, hint)
    expect(got == 20, "Better means better than the best so far, not than the last.")
    expect(late == 20 and later == 20, "With patience 2 this run ends at step 40: its best is 20.")
    got = step((3.0, 3.5, 2.0, 2.5, 1.0, 1.5, 0.5), 2)
    expect(got == 70, "Patience counts validations in a row: an improvement resets the count.")
    got = step((3.0, 2.0, 2.0, 2.0, 1.0), 2)
    expect(got == 20, "An equal loss is no improvement.")
    expect(step((3.0, 2.0, 2.5, 1.0), 1) == 20, "Patience 1 ends at the first bad validation.")
    return "These are the weights to keep."
