"""Checks of chapter 13, Chimera."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close
from common.models.chimera import Chimera


@check
def equal_say(function: Callable[[Tensor, Tensor], float]) -> str:
    """Exercise 1: the weight at which both gradients are equally long."""
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
            squares[0] / sum(squares): "These are squared lengths: take the root of each sum.",
            sums[0] / sum(sums): "A length is not the sum of the absolute values.",
            0.5: "The weight should depend on the gradients.",
        }
        for value, hint in hints.items():
            expect(abs(weight - value) > 1e-4, hint)
        pull_embeddings = weight * factor * embeddings.norm()
        pull_masks = (1 - weight) * masks.norm()
        hint = (
            f"At your weight the gradient of the clustering loss has the length "
            f"{pull_embeddings:.4g} and that of the mask loss {pull_masks:.4g}: a length is the "
            f"root of a sum of squares."
        )
        expect(False, hint)
    return "At this weight both gradients are equally long."


@check
def pointed_centroids(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: where one head's masks say that the other head's sources are."""
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
        "A loud bin should count for more than a soft one: use the weights, too.": weighted_means(
            embeddings, masks
        ),
        "The masks do not count here: every source has the same centroid.": weighted_means(
            embeddings, weights[:, None].expand_as(masks)
        ),
        "Each bin counts for every source by its soft mask; you give it to one source.": (
            weighted_means(embeddings, hard)
        ),
        "That is a sum: divide it by the sum of what each bin counted.": owned.mT @ embeddings,
        "You divide by the weights of all bins: divide by what the bins counted for this "
        "source.": owned.mT @ embeddings / weights.sum(),
        "A mean of points on the sphere lies inside it: leave it there.": functional.normalize(
            right, dim=-1
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
    return "One head gives the centroids, and the other one starts from them."


def weighted_means(embeddings: Tensor, owned: Tensor) -> Tensor:
    """Means of embeddings (i, d), weighted by what they count for each source (i, s): (s, d)."""
    return owned.mT @ embeddings / owned.sum(dim=0)[:, None]


@check
def flipped_signs(function: Callable[[list[float]], float]) -> str:
    """Exercise 3: how often chance alone gives as large a mean difference."""
    got = float(function([1.0, 2.0, 3.0, -4.0]))
    expect(got <= 1, "Return the share of the patterns, between 0 and 1, not how many they are.")
    hints = {
        7 / 16: "Large means of either sign count, so compare absolute values.",
        10 / 16: "A mean that is exactly as large counts, too: at least as far, not farther.",
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
def listener(make: Callable[[Chimera], Chimera]) -> str:
    """Exercise 4: an embedding head that learns from the body and does not train it."""
    torch.manual_seed(0)
    net = Chimera(n_bins=9, n_dimensions=3, hidden_size=4, n_layers=1, dropout=0.0)
    magnitude = torch.rand(2, 2, 9, 6)
    right = net(magnitude)
    probe = make(net)
    own = dict(net.named_parameters())
    after = _reached(net(magnitude).embeddings, own)
    hint = "The net that was given should stay as it was: return another one around its weights."
    expect(any(name.startswith("stack") for name in after), hint)
    answer = probe(magnitude)
    hint = "The answer should have its two parts by name: a ChimeraOutput."
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
    hint = "Now the embedding head learns nothing either: cut in front of it, not behind it."
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
