"""Checks of chapter 13, Chimera."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close, name_mistake
from common.checks.tensors import tensor
from common.models.chimera import Chimera

BETTER = 3.5
"""By how many dB blended estimates exceed the mean of both in exercise 5."""


@check
def balanced_weight(function: Callable[[Tensor, Tensor], float]) -> str:
    """Exercise 1: the weight at which both weighted gradients have the same norm."""
    generator = torch.Generator().manual_seed(0)
    masks, embeddings = torch.randn(2, 30, generator=generator)
    for factor in (0.05, 1.0, 8.0):
        weight = float(function(masks, factor * embeddings))
        expect(0 < weight < 1, f"A weight should be between 0 and 1; {weight:.3g} is not.")
        right = masks.norm() / (masks.norm() + factor * embeddings.norm())
        if abs(weight - right) < 1e-4:
            continue
        squares = masks.square().sum(), factor**2 * embeddings.square().sum()
        sums = masks.abs().sum(), factor * embeddings.abs().sum()
        hints = {
            1 - right: "This is the weight for the masks: alpha multiplies the clustering loss.",
            squares[0] / sum(squares): "These are squared norms: take the root of each sum.",
            sums[0] / sum(sums): "The norm is not the sum of the absolute values.",
            0.5: "The weight should depend on the gradients.",
        }
        for value, hint in hints.items():
            expect(abs(weight - value) > 1e-4, hint)
        norm_embeddings = weight * factor * embeddings.norm()
        norm_masks = (1 - weight) * masks.norm()
        hint = (
            f"At your weight the gradient of the clustering loss has the norm "
            f"{norm_embeddings:.4g} and that of the mask loss {norm_masks:.4g}: the norm is the "
            f"root of the sum of squares."
        )
        expect(False, hint)
    return "At this weight both gradients have the same norm."


@check
def centroids_from_masks(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: centroids of the embeddings, weighted by the masks of the other head."""
    generator = torch.Generator().manual_seed(0)
    i, d, s = 40, 5, 3
    embeddings = functional.normalize(torch.randn(i, d, generator=generator), dim=-1)
    masks = torch.rand(i, s, generator=generator)
    weights = torch.rand(i, generator=generator)
    given = embeddings, masks, weights
    before = [x.clone() for x in given]
    got = torch.as_tensor(function(*given)).float()
    same = all(torch.equal(x, y) for x, y in zip(before, given, strict=True))
    expect(same, "You changed what you were given: make new tensors instead.")
    expect(tuple(got.shape) == (s, d), f"Centroids are (s, d) = {(s, d)}, not {tuple(got.shape)}.")
    owned = masks * weights[:, None]
    right = weighted_means(embeddings, owned)
    hard = functional.one_hot(masks.argmax(dim=-1), s) * weights[:, None]
    mistakes = {
        "A loud bin should count more than a quiet one: use the weights, too.": weighted_means(
            embeddings, masks
        ),
        "You do not use the masks: every source has the same centroid.": weighted_means(
            embeddings, weights[:, None].expand_as(masks)
        ),
        "You assign each bin to one source: use the soft masks as weights.": (
            weighted_means(embeddings, hard)
        ),
        "That is a sum: divide it by the sum of mask times weight.": owned.mT @ embeddings,
        "You divide by the weights of all bins: divide by the sum of mask times weight of each "
        "source.": owned.mT @ embeddings / weights.sum(),
        "Do not normalise the centroids: a mean of unit vectors is shorter than 1.": (
            functional.normalize(right, dim=-1)
        ),
    }
    for hint, mistake in mistakes.items():
        expect(not torch.allclose(got, mistake, atol=1e-4), hint)
    hint = "Each source's centroid is the mean of the embeddings, weighted by mask times weight."
    expect_close(got, right, hint)
    nobody = torch.as_tensor(function(embeddings, masks * torch.tensor([1.0, 0.0, 1.0]), weights))
    hint = "A source whose mask is zero everywhere gives NaN: look at your division."
    expect(nobody.isfinite().all(), hint)
    hint = "A source whose mask is zero everywhere should not change the others."
    expect_close(nobody[[0, 2]].float(), right[[0, 2]], hint)
    return "The mask head gives the centroids from which k-means can start."


def weighted_means(embeddings: Tensor, owned: Tensor) -> Tensor:
    """Means of embeddings (i, d) with one weight per bin and source (i, s): (s, d)."""
    return owned.mT @ embeddings / owned.sum(dim=0)[:, None]


@check
def sign_flip_test(function: Callable[[list[float]], float]) -> str:
    """Exercise 3: how often random signs give a mean difference as large as the measured one."""
    got = float(function([1.0, 2.0, 3.0, -4.0]))
    expect(got <= 1, "Return the share of the patterns, between 0 and 1, not how many they are.")
    hints = {
        7 / 16: "The test is two-sided: compare absolute values.",
        10 / 16: "A mean that is exactly as large counts, too: use at least, not greater.",
        13 / 16: "The measured pattern is one of them, so it counts, too.",
        15 / 17: "Adding one is for patterns drawn at random; here all of them are tried.",
    }
    for share, hint in hints.items():
        expect(abs(got - share) > 1e-6, hint)
    hint = "Try all patterns of signs, not some of them: there are 2 to the power of n."
    expect(min(got * 16 % 1, -got * 16 % 1) < 1e-5, hint)
    cases = (
        ([1.0, 2.0, 3.0, -4.0], 0.875),
        ([0.2, 0.3, -0.1], 0.5),
        ([0.2, 0.3, 0.1], 0.25),
        ([1.0, 1.0, 1.0, 1.0], 0.125),
        ([-0.4, -0.1, -0.3, -0.2, -0.6], 2 / 32),
        ([0.5, -0.5], 1.0),
        ([1.1, 2.2, -3.3, 0.5], 1.0),
    )
    for differences, right in cases:
        got = float(function(list(differences)))
        hint = f"For {differences} the share is {right:.4g}, not {got:.4g}"
        if got < right:
            hint += ": do sums that are equal on paper differ in the last digit here"
        expect(abs(got - right) < 1e-6, f"{hint}{'?' if got < right else '.'}")
    return f"Three seeds that all agree give {float(function([1.0, 1.0, 1.0])):.2f} at best."


@check
def probe(make: Callable[[Chimera], Chimera]) -> str:
    """Exercise 4: an embedding head that is trained on the features and does not train the body."""
    torch.manual_seed(0)
    net = Chimera(n_bins=9, n_dimensions=3, hidden_size=4, n_layers=1, dropout=0.0)
    magnitude = torch.rand(2, 2, 9, 6)
    right = net(magnitude)
    probing = make(net)
    own = dict(net.named_parameters())
    after = _reached(net(magnitude).embeddings, own)
    hint = "The given net should stay unchanged: return another one with the same weights."
    expect(any(name.startswith("stack") for name in after), hint)
    answer = probing(magnitude)
    hint = "The output should be a ChimeraOutput with `embeddings` and `masks`."
    expect(hasattr(answer, "masks") and hasattr(answer, "embeddings"), hint)
    for name in ("embeddings", "masks"):
        got, wanted = getattr(answer, name), getattr(right, name)
        expect_close(got.detach(), wanted.detach(), f"The {name} should have the same values.")
    reached = _reached(answer.embeddings, own)
    hint = (
        "A gradient from the embeddings still reaches the body: cut between the features and the "
        "embedding head."
    )
    expect(not any(name.startswith(("stack", "log")) for name in reached), hint)
    by_masks = _reached(answer.masks, own)
    hint = "No gradient reaches the given net: cut one branch, and make no copies of its weights."
    expect(reached or by_masks, hint)
    hint = "Now the embedding head is not trained either: cut in front of it, not behind it."
    expect(any(name.startswith("embeddings") for name in reached), hint)
    hint = "The masks should train the body as before: cut one branch, not both."
    expect(any(name.startswith("stack") for name in by_masks), hint)
    hint = "The masks should train their own head, too: cut nothing there."
    expect(any(name.startswith("masks") for name in by_masks), hint)
    return "The clustering loss trains its own head only."


def _reached(output: Tensor, parameters: dict[str, Tensor]) -> list[str]:
    """Names of the parameters that a gradient from the output arrives at."""
    trained = {name: weight for name, weight in parameters.items() if weight.requires_grad}
    if not output.requires_grad:
        return []
    weights = torch.linspace(0.5, 1.5, output.numel()).reshape(output.shape)
    grads = torch.autograd.grad(
        (weights * output).sum(), list(trained.values()), allow_unused=True, retain_graph=True
    )
    return [
        name
        for name, grad in zip(trained, grads, strict=True)
        if grad is not None and grad.abs().max() > 1e-9
    ]


@check
def blend_weights(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: weights between two heads, chosen on one song and measured on another."""
    seen, unseen = _song(0), _song(1)
    weights = tensor(function(*(x.clone() for x in seen)))
    s, f, n = seen[0].shape
    hint = "One weight per frame cannot be used on another song: return the shape (s, f)."
    expect(n not in weights.shape, hint)
    hint = f"One weight per source and frequency: the shape is {(s, f)}, not "
    expect(tuple(weights.shape) == (s, f), f"{hint}{tuple(weights.shape)}.")
    expect(not weights.is_complex(), "The weights should be real numbers.")
    expect(weights.isfinite().all(), "Your weights contain a number that is infinite or NaN.")
    inside = -1e-4 <= weights.min() and weights.max() <= 1.0001
    expect(inside, "The weights should be between 0 and 1: limit them.")
    half = torch.full((s, f), 0.5)
    name_mistake(weights, {"That is the mean of both heads: choose weights by their errors.": half})
    got, mean = (_blended_sdr(x, *unseen) for x in (weights, half))
    exchanged = _blended_sdr(1 - weights, *unseen) > got
    expect(not exchanged, "The weights are exchanged: 1 takes the estimate of the mask head.")
    if got < mean + BETTER:
        one = weights.std() < 1e-4
        expect(not one, "You use the same weight for everything: the better head differs.")
        same = weights.std(dim=1).max() < 1e-4
        expect(not same, "Each source has one weight at all frequencies: the better head differs.")
        same = weights.std(dim=0).max() < 1e-4
        expect(not same, "All sources have the same weights: the better head differs.")
        hint = (
            f"On the other song the mean SDR is {got:.1f} dB, and that of the mean of both heads "
            f"{mean:.1f} dB: a good answer gains {BETTER:g} dB. Which weight makes the squared "
            "error as small as possible?"
        )
        expect(False, hint)
    return f"On the other song the mean SDR is {got:.1f} dB; the mean of both has {mean:.1f} dB."


def _song(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sources and two estimates of them, (s, f, n); which is better depends on source and bin.

    The errors of the estimates have a correlation of 0.3.
    """
    generator = torch.Generator().manual_seed(seed)
    s, f, n = 4, 32, 60

    def noise() -> Tensor:
        return torch.complex(*torch.randn(2, s, f, n, generator=generator))

    bins, centres = torch.arange(f), torch.tensor([22.0, 4.0, 12.0, 16.0])[:, None]
    level = 10 ** -(((bins - centres) / 10) ** 2)
    sources = level[..., None] * noise()
    lead = torch.sin(2 * torch.pi * (bins / 14 + torch.arange(s)[:, None] / 4))
    shared = noise()
    estimates = []
    for error_level in (7 * lead - 7, -7 * lead - 6):  # dB below the source
        error = 0.3**0.5 * shared + 0.7**0.5 * noise()
        estimates.append(sources + (level * 10 ** (error_level / 20))[..., None] * error)
    return sources, *estimates


def _blended_sdr(weights: Tensor, sources: Tensor, first: Tensor, second: Tensor) -> float:
    """Mean SDR over sources, in dB, of weight times first plus (1 - weight) times second."""
    blended = weights[..., None] * first + (1 - weights[..., None]) * second
    energy, error = (x.abs().square().sum(dim=(1, 2)) for x in (sources, sources - blended))
    return (10 * torch.log10(energy / error)).mean().item()
