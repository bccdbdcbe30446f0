"""Answers to the exercises of chapter 10, training."""

from __future__ import annotations

import math

import numpy as np
import torch

from answers import Answers


def l1_gradient(gain, mixture, vocals):
    return (torch.sign(gain * mixture - vocals) * mixture).mean()


def l1_in_numpy(gain, mixture, vocals):
    x, v = mixture.double().numpy(), vocals.double().numpy()
    return np.mean(np.where(gain * x > v, x, -x))


def l1_in_a_loop(gain, mixture, vocals):
    total = 0.0
    for x, v in zip(mixture.flatten().tolist(), vocals.flatten().tolist(), strict=True):
        total += math.copysign(1, gain * x - v) * x
    return total / mixture.numel()


def l1_with(slope):
    """The mean of some slope of (error, mixture, vocals)."""
    return lambda gain, x, v: slope(gain * x - v, x, v).mean()


L1_GRADIENT = Answers(
    right={
        "sign": l1_gradient,
        "numpy, where": l1_in_numpy,
        "in a loop": l1_in_a_loop,
        "by division": l1_with(lambda e, x, v: e / e.abs().clamp(min=1e-12) * x),
        "a tensor of one": lambda *given: l1_gradient(*given)[None],
    },
    wrong={
        "the loss": (l1_with(lambda e, x, v: e.abs()), "That is the loss itself"),
        "squared": (l1_with(lambda e, x, v: 2 * e * x), "derivative of the squared error"),
        "no chain rule": (l1_with(lambda e, x, v: e.sign()), "The chain rule"),
        "turned round": (l1_with(lambda e, x, v: -e.sign() * x), "The sign is reversed"),
        "a sum": (lambda g, x, v: ((g * x - v).sign() * x).sum(), "the loss is a mean"),
        "absolute slopes": (l1_with(lambda e, x, v: x.abs()), "take no absolute value"),
        "absolute mixture": (
            l1_with(lambda e, x, v: e.sign() * x.abs()),
            "not by its absolute value",
        ),
        "error times mixture": (l1_with(lambda e, x, v: e * x), "The size of the error"),
        "one sign for all": (
            lambda g, x, v: (g * x - v).mean().sign() * x.mean(),
            "not of their mean",
        ),
        "not averaged": (lambda g, x, v: (g * x - v).sign() * x, "one number for all samples"),
        "per channel": (
            lambda g, x, v: ((g * x - v).sign() * x).mean(dim=-1),
            "one number for all samples",
        ),
    },
)

def cosine(step, steps):
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def exponential_in_torch(step, steps):
    return 1.9 * torch.tensor(0.03) ** (step / steps)


def three_stages(step, steps):
    return [1.0, 0.3, 0.05][3 * step // steps]


SCHEDULE = Answers(
    right={
        "cosine": cosine,
        "warm-up and cosine": lambda k, n: min(1, (k + 1) / 10) * cosine(k, n),
        "a line, numpy": lambda k, n: np.linspace(1, 0, n, endpoint=False)[k],
        "exponential, a tensor": exponential_in_torch,
        "three stages": three_stages,
    },
    wrong={
        "the best constant": (lambda k, n: 0.37, "This rate is constant"),
        "a low constant": (lambda k, n: 0.01, "This rate is constant"),
        "rising": (lambda k, n: (k + 1) / n, "The rate is highest at the end"),
        "too low": (lambda k, n: 0.2 * cosine(k, n), "keep the rate high for longer"),
        "falls too fast": (lambda k, n: 1 / (k + 1), "keep the rate high for longer"),
        "falls too little": (lambda k, n: 1 - 0.7 * k / n, "in the last steps"),
        "for 100 steps": (lambda k, n: max(0.0, 1 - k / 100), "is `steps` used?"),
        "diverges": (lambda k, n: 2.5 - 0.2 * k / n, "The run diverges"),
        "negative": (lambda k, n: cosine(k, n) - 0.1, "not negative"),
    },
)


def norm_of(gradients):
    return math.sqrt(sum(float(g.double().square().sum()) for g in gradients))


def clip(gradients, longest):
    factor = min(1.0, longest / max(norm_of(gradients), 1e-12))
    return [g * factor for g in gradients]


def clip_in_place(gradients, longest):
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    if norm > longest:
        for g in gradients:
            g.mul_(longest / norm)
    return gradients


def clip_in_numpy(gradients, longest):
    flat = np.concatenate([g.double().numpy().ravel() for g in gradients])
    factor = longest / max(longest, np.linalg.norm(flat))
    return tuple(g.numpy() * factor for g in gradients)


def clip_as_torch(gradients, longest):
    weights = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for w, g in zip(weights, gradients, strict=True):
        w.grad = g
    torch.nn.utils.clip_grad_norm_(weights, longest)
    return [w.grad for w in weights]


def clip_by(norm):
    """Shorten by some norm of all gradients."""

    def clip(gradients, longest):
        factor = min(1.0, longest / max(float(norm(gradients)), 1e-12))
        return [g * factor for g in gradients]

    return clip


def flat(gradients):
    return torch.cat([g.flatten() for g in gradients])


def always_to_the_limit(gradients, longest):
    return [g * longest / max(norm_of(gradients), 1e-12) for g in gradients]


def one_by_one(gradients, longest):
    return [clip([g], longest)[0] for g in gradients]


def divided_by_zero(gradients, longest):
    return (
        [g * min(1.0, longest / flat(gradients).norm()) / 1 for g in gradients]
        if (flat(gradients).any())
        else [g / flat(gradients).norm() for g in gradients]
    )


def to_one(gradients, longest):
    factor = min(1.0, 1 / max(norm_of(gradients), 1e-12))
    return [g * factor for g in gradients]


def two_only(gradients, longest):
    norm = norm_of(gradients[:2])
    return [g * min(1.0, longest / max(norm, 1e-12)) for g in gradients]


CLIP = Answers(
    right={
        "factor": clip,
        "in place": clip_in_place,
        "numpy, a tuple": clip_in_numpy,
        "PyTorch's own": clip_as_torch,
        "a generator": lambda gradients, longest: iter(clip(gradients, longest)),
    },
    wrong={
        "unchanged": (lambda gradients, longest: gradients, "The norm is the same as before"),
        "one by one": (one_by_one, "Each gradient is clipped separately"),
        "entries clamped": (
            lambda gradients, longest: [g.clamp(-longest, longest) for g in gradients],
            "Each entry is clipped separately",
        ),
        "no root": (clip_by(lambda g: flat(g).square().sum()), "the root is missing"),
        "sum of norms": (clip_by(lambda g: sum(x.norm() for x in g)), "norms do not"),
        "sum of entries": (clip_by(lambda g: flat(g).abs().sum()), "the sum of the entries"),
        "largest entry": (clip_by(lambda g: flat(g).abs().max()), "is the largest entry"),
        "root mean square": (
            clip_by(lambda g: flat(g).square().mean().sqrt()),
            "the norm has their sum",
        ),
        "always": (always_to_the_limit, "leaves them as they are"),
        "divided by zero": (divided_by_zero, "avoid the division by zero"),
        "limit typed in": (to_one, "use `longest`"),
        "two only": (two_only, "one long vector"),
        "flat": (lambda gradients, longest: list(flat(clip(gradients, longest))), "for each that"),
    },
)


def step_in_parts(net, objective, optimiser, parts):
    optimiser.zero_grad()
    total = 0.0
    for mixture, sources in parts:
        loss = objective(net, mixture, sources) / len(parts)
        loss.backward()
        total += loss.item()
    optimiser.step()
    return total


def gradients_divided(net, objective, optimiser, parts):
    losses = []
    for part in parts:
        losses.append(objective(net, *part))
        losses[-1].backward()
    for weight in net.parameters():
        weight.grad /= len(parts)
    optimiser.step()
    optimiser.zero_grad()
    return np.mean([loss.item() for loss in losses])


def with_a_weight(net, objective, optimiser, parts):
    net.zero_grad(set_to_none=False)
    mean = torch.zeros(())
    for k in range(len(parts)):
        loss = objective(net, parts[k][0], parts[k][1])
        loss.backward(torch.tensor(1 / len(parts)))
        mean = mean + loss.detach() / len(parts)
    optimiser.step()
    return mean


def accumulated(zero="before", divide=None, step="after", back=None, backwards=True):
    """A step in parts with something changed."""

    def update(net, objective, optimiser, parts):
        if zero == "before":
            optimiser.zero_grad()
        losses = []
        for part in parts:
            if zero == "each":
                optimiser.zero_grad()
            loss = objective(net, *part)
            if backwards:
                (loss / (len(parts) if divide is None else divide)).backward()
            losses.append(loss.item())
            if step == "each":
                optimiser.step()
        if step == "after":
            optimiser.step()
        return sum(losses) / len(parts) if back is None else back(losses)

    return update


def all_at_once(net, objective, optimiser, parts):
    optimiser.zero_grad()
    loss = sum(objective(net, *part) for part in parts) / len(parts)
    loss.backward()
    optimiser.step()
    return loss.item()


def first_part(net, objective, optimiser, parts):
    return step_in_parts(net, objective, optimiser, parts[:1])


STEP_IN_PARTS = Answers(
    right={
        "losses divided": step_in_parts,
        "gradients divided": gradients_divided,
        "backward with a weight, a tensor": with_a_weight,
    },
    wrong={
        "no division": (accumulated(divide=1), "two means add up to a sum"),
        "divided twice": (accumulated(divide=4), "divide only once"),
        "no step": (accumulated(step="never"), "where is the step"),
        "no backward": (accumulated(backwards=False), "where is the step"),
        "a step for each part": (
            accumulated(zero="each", divide=1, step="each"),
            "one step per part",
        ),
        "zero between parts": (accumulated(zero="each", divide=1), "Only the last part counts"),
        "zero between parts, divided": (accumulated(zero="each"), "what is left is halved"),
        "the first part": (first_part, "Only the first part counts"),
        "never zero": (accumulated(zero="never"), "later ones are not"),
        "two typed in": (accumulated(divide=2), "With four parts"),
        "the last loss": (accumulated(back=lambda x: x[-1]), "the loss of the last part"),
        "sum of losses": (accumulated(back=sum), "the sum of the losses"),
        "loss divided twice": (accumulated(back=lambda x: sum(x) / 4), "once too often"),
        "all at once": (all_at_once, "before the next is computed"),
    },
)


def best_step(validation, patience):
    best, lowest, waited = None, float("inf"), 0
    for step, loss in validation:
        if loss < lowest:
            best, lowest, waited = step, loss, 0
        else:
            waited += 1
        if waited == patience:
            break
    return best


def best_in_numpy(validation, patience):
    steps, losses = np.array(validation).T
    lowest = np.minimum.accumulate(losses)
    improved = np.r_[True, losses[1:] < lowest[:-1]]
    last = np.maximum.accumulate(np.where(improved, np.arange(len(losses)), 0))
    stops = np.flatnonzero(np.arange(len(losses)) - last >= patience)
    end = stops[0] if len(stops) else len(losses) - 1
    return steps[last[end]]


def best_in_torch(validation, patience):
    losses = torch.tensor([loss for _, loss in validation])
    for end in range(1, len(losses) + 1):
        best = int(losses[:end].argmin())
        if end - 1 - best >= patience:
            break
    return torch.tensor(validation[best][0])


def best_by_recursion(validation, patience, best=None, waited=0):
    if not validation or waited >= patience:
        return best[0]
    first, *rest = validation
    if best is None or first[1] < best[1]:
        return best_by_recursion(rest, patience, first)
    return best_by_recursion(rest, patience, best, waited + 1)


def stopped(better="best", more=0, reset=True, equal=False, back="best"):
    """Early stopping with something changed."""

    def best_step(validation, patience):
        best, waited, previous = None, 0, math.inf
        for k, (step, loss) in enumerate(validation):
            limit = previous if better == "last" else (best[1] if best else math.inf)
            if loss < limit or equal and loss == limit:
                waited = 0 if reset else waited
            else:
                waited += 1
            if best is None or loss < best[1]:
                best, place = (step, loss), k
            previous = loss
            if waited >= patience + more:
                break
        return {"best": best[0], "stop": step, "place": place, "pair": best, "loss": best[1]}[back]

    return best_step


def stopped_early(validation, patience):
    """The step at which patience ran out, or else the best."""
    end = stopped(back="stop")(validation, patience)
    return stopped()(validation, patience) if end == validation[-1][0] else end


BEST_STEP = Answers(
    right={
        "loop": best_step,
        "numpy": best_in_numpy,
        "torch": best_in_torch,
        "recursion": best_by_recursion,
    },
    wrong={
        "the last": (lambda run, patience: run[-1][0], "Keep the step with the lowest loss"),
        "the best of all": (lambda run, patience: min(run, key=lambda x: x[1])[0], "Is `patience`"),
        "where it stops": (stopped(back="stop"), "Keep the step with the lowest loss"),
        "where it stops early": (stopped_early, "where the run stops"),
        "better than the last": (stopped(better="last"), "not than the last"),
        "one more": (stopped(more=1), "not after three"),
        "one less": (stopped(more=-1), "fewer than patience 2"),
        "never counted anew": (stopped(reset=False), "validations in a row"),
        "equal is better": (stopped(equal=True), "An equal loss is no improvement"),
        "its place": (stopped(back="place"), "its index in the list"),
        "a pair": (stopped(back="pair"), "not the pair"),
        "the loss": (stopped(back="loss"), "That is the loss"),
    },
)

ANSWERS = {
    "l1_gradient": L1_GRADIENT,
    "schedule": SCHEDULE,
    "clip": CLIP,
    "step_in_parts": STEP_IN_PARTS,
    "best_step": BEST_STEP,
}
