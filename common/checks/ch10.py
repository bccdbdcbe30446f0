"""Checks of chapter 10, training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from common.checks import check, expect, expect_close


def _signals() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    mixture = 3 * torch.randn(2, 500, generator=generator)
    return mixture, 0.3 * mixture + torch.randn(2, 500, generator=generator)


@check
def l1_gradient(function: Callable[[float, Tensor, Tensor], Tensor]) -> str:
    """Exercise 1: the gradient of the mean absolute error."""
    mixture, vocals = _signals()
    one = function(1.0, torch.tensor([2.0, -3.0]), torch.tensor([5.0, 0.0]))
    expect_close(one, 0.5, "For x = (2, -3), v = (5, 0), g = 1 the two slopes are -2 and +3.")
    for value in (-0.5, 0.2, 1.5):
        gain = torch.tensor(value, requires_grad=True)
        (gain * mixture - vocals).abs().mean().backward()
        got = function(value, mixture, vocals)
        expect_close(got, gain.grad, f"At g = {value} autograd finds another slope: signs, mean?")
    return "The slope counts signs: loud errors pull no harder than quiet ones."


@check
def breaking_rate(function: Callable[[Tensor], float]) -> str:
    """Exercise 2: the rate at which gradient descent stops converging."""
    for factor in (1.0, 0.1, 2.0):
        x = factor * _signals()[0]
        power = x.square().mean().item()
        rate = float(function(x))
        expect(rate > 0, "A rate is positive.")
        shrink = 1 - 2 * rate * power
        expect(
            shrink < -0.999,
            f"With that rate a step multiplies the distance by {shrink:.2f}: it still converges.",
        )
        expect(
            shrink > -1.001,
            f"With that rate a step multiplies the distance by {shrink:.2f}: it broke earlier.",
        )
    return "Each step lands exactly as far away, on the other side."


@check
def clip(function: Callable[[Sequence[Tensor], float], Sequence[Tensor]]) -> str:
    """Exercise 3: gradients shortened together."""
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0], [0.0]])]
    kept = [gradient.clone() for gradient in gradients]
    short = function(gradients, 10.0)
    expect(len(short) == 2, "One gradient for each that was given.")
    for got, given in zip(short, kept, strict=True):
        expect_close(got, given, "These have a norm of 5 together: a limit of 10 leaves them be.")
    together = function([gradient.clone() for gradient in kept], 1.0)
    for got, given in zip(together, kept, strict=True):
        expect_close(
            got,
            given / 5,
            "Clipped to 1, a norm of 5 makes every entry a fifth: take one norm of all.",
        )
    silent = function([torch.zeros(3)], 1.0)[0]
    expect_close(silent, torch.zeros(3), "A gradient of zero stays zero: mind the division.")
    return "Same direction, never longer than it may be."


@check
def step_in_parts(function: Callable[..., float]) -> str:
    """Exercise 4: gradient accumulation equals the whole batch."""
    generator = torch.Generator().manual_seed(2)
    inputs, targets = (torch.randn(8, 3, generator=generator) for _ in range(2))

    def objective(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return (net(x) - y).square().mean()

    def trained(steps: int, in_parts: bool) -> tuple[nn.Module, float]:
        net = nn.Linear(3, 3)
        with torch.no_grad():
            net.weight.copy_(torch.eye(3))
            net.bias.zero_()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(steps):
            if in_parts:
                parts = list(zip(inputs.split(4), targets.split(4), strict=True))
                loss = float(function(net, objective, optimiser, parts))
            else:
                optimiser.zero_grad()
                value = objective(net, inputs, targets)
                value.backward()
                optimiser.step()
                loss = value.item()
        return net, loss

    start = torch.eye(3)
    (whole, whole_loss), (parts, loss) = trained(1, False), trained(1, True)
    expect(not torch.equal(parts.weight, start), "The weights have not moved: where is the step?")
    double = start + 2 * (whole.weight.detach() - start)
    expect(
        not torch.allclose(parts.weight.detach(), double, atol=1e-5),
        "The step is twice as long as it should be: two means add up to a sum.",
    )
    expect_close(parts.weight.detach(), whole.weight.detach(), "One step differs from the batch's.")
    expect_close(loss, whole_loss, "Return the mean loss over all parts.")
    (whole, _), (parts, _) = trained(3, False), trained(3, True)
    expect_close(
        parts.weight.detach(), whole.weight.detach(), "The first step is right, later ones are not."
    )
    return "Two halves make a whole."


@check
def best_step(function: Callable[[Sequence[tuple[int, float]], int], int]) -> str:
    """Exercise 5: early stopping."""
    falling = [(10, 3.0), (20, 2.0), (30, 1.0)]
    expect(function(falling, 2) == 30, "A run that still improves keeps its last step.")
    turning = [(10, 3.0), (20, 1.0), (30, 1.5), (40, 1.2)]
    expect(function(turning, 5) == 20, "Keep the step with the lowest loss.")
    bump = [(10, 3.0), (20, 2.0), (30, 2.5), (40, 1.0), (50, 1.1)]
    expect(function(bump, 2) == 40, "One bad validation is no reason to stop at patience 2.")
    best = [(10, 3.0), (20, 1.0), (30, 1.5), (40, 1.4), (50, 0.9)]
    expect(function(best, 2) == 20, "Better means better than the best so far, not than the last.")
    late = [(10, 3.0), (20, 2.0), (30, 2.5), (40, 2.6), (50, 1.0)]
    expect(function(late, 2) == 20, "At patience 2 this run ends at step 40 and never sees 50.")
    return "You would have kept the right weights."
