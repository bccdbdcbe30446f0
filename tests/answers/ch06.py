"""Answers to the exercises of chapter 06."""

from __future__ import annotations

import numpy as np
import torch

from answers import Answers
from common.checks.drum_mixtures import flatness
from common.classical.nmf import FLOOR, beta_divergence, update_activations


def templates_step(data, templates, activations):
    model = templates @ activations
    return templates * ((data / model) @ activations.T) / activations.sum(dim=1)


def templates_turned(data, templates, activations):
    return update_activations(data.T, activations.T, templates.T, beta=1).T


def templates_numpy_double(data, templates, activations):
    v, w, h = (np.asarray(x, dtype=np.float64) for x in (data, templates, activations))
    return w * ((v / (w @ h + FLOOR)) @ h.T) / (np.ones_like(v) @ h.T)


def templates_loop(data, templates, activations):
    new, model = torch.zeros_like(templates), templates @ activations
    for f in range(templates.shape[0]):
        for k in range(templates.shape[1]):
            numerator = sum(
                data[f, n] / model[f, n] * activations[k, n] for n in range(data.shape[1])
            )
            new[f, k] = templates[f, k] * numerator / activations[k].sum()
    return new


def templates_by_gradient(data, templates, activations):
    """The numerator is the denominator less the gradient, which autograd finds."""
    variable = templates.clone().requires_grad_()
    beta_divergence(data, variable @ activations, 1).backward()
    denominator = activations.sum(dim=1)
    return variable * (denominator - variable.grad) / denominator


def templates_with(beta):
    def step(data, templates, activations):
        return update_activations(data.T, activations.T, templates.T, beta).T

    return step


def templates_in_place(data, templates, activations):
    templates *= ((data / (templates @ activations)) @ activations.T) / activations.sum(dim=1)
    return templates


def pulled(data, templates, activations):
    return (data / (templates @ activations)) @ activations.T


def templates_scaled(data, templates, activations):
    new = templates_step(data, templates, activations)
    return new / new.sum(dim=0)


def masks_loop(templates, activations, owners, n_sources):
    masks = torch.zeros(n_sources, templates.shape[0], activations.shape[1])
    for k, owner in enumerate(owners):
        masks[owner] += torch.outer(templates[:, k], activations[k])
    return masks / masks.sum(dim=0)


def masks_einsum(templates, activations, owners, n_sources):
    belongs = torch.nn.functional.one_hot(torch.tensor(owners), n_sources).float()
    models = torch.einsum("fk,kn,ks->sfn", templates, activations, belongs)
    return models / (templates @ activations + FLOOR)


def masks_numpy(templates, activations, owners, n_sources):
    w, h = (np.asarray(x, dtype=np.float64) for x in (templates, activations))
    owners = np.array(owners)
    return np.stack([w[:, owners == s] @ h[owners == s] / (w @ h) for s in range(n_sources)])


def masks_by_copies(templates, activations, owners, n_sources):
    masks = []
    for s in range(n_sources):
        own = activations.clone()
        own[[k for k, owner in enumerate(owners) if owner != s]] = 0
        masks.append(templates @ own / (templates @ activations))
    return torch.stack(masks)


def masks_counted(templates, activations, owners, n_sources):
    return masks_loop(templates, activations, owners, max(owners) + 1)


def masks_of_energy(templates, activations, owners, n_sources):
    energy = masks_loop(templates, activations, owners, n_sources) ** 2
    return energy / energy.sum(dim=0)


def masks_of_component_energy(templates, activations, owners, n_sources):
    masks = torch.zeros(n_sources, templates.shape[0], activations.shape[1])
    for k, owner in enumerate(owners):
        masks[owner] += torch.outer(templates[:, k], activations[k]) ** 2
    return masks / masks.sum(dim=0)


def masks_winner(templates, activations, owners, n_sources):
    masks = masks_loop(templates, activations, owners, n_sources)
    return (masks == masks.max(dim=0).values).float()


def masks_without_templates(templates, activations, owners, n_sources):
    return masks_loop(torch.ones_like(templates), activations, owners, n_sources)


def models_only(templates, activations, owners, n_sources):
    masks = masks_loop(templates, activations, owners, n_sources)
    return masks * (templates @ activations)


def masks_per_component(templates, activations, owners, n_sources):
    parts = torch.einsum("fk,kn->kfn", templates, activations)
    return parts / parts.sum(dim=0)


def masks_of_means(templates, activations, owners, n_sources):
    parts = torch.einsum("fk,kn->kfn", templates, activations)
    owners = torch.tensor(owners)
    models = torch.stack([parts[owners == s].mean(dim=0) for s in range(n_sources)])
    return models / models.nansum(dim=0)


def masks_of_last(templates, activations, owners, n_sources):
    masks = torch.zeros(n_sources, templates.shape[0], activations.shape[1])
    for k, owner in enumerate(owners):
        masks[owner] = torch.outer(templates[:, k], activations[k])
    return masks / (templates @ activations)


def masks_from_one(templates, activations, owners, n_sources):
    return masks_loop(templates, activations, [owner - 1 for owner in owners], n_sources)


def drums_are_smooth(templates, activations):
    return templates.diff(dim=0).abs().sum(dim=0) < 0.8


def drums_have_no_peaks(templates, activations):
    """How much stands out of its neighbours: lists of 0 and 1 are taken, too."""
    spectra = templates.T.numpy()
    between = [(spectrum[:-2] + spectrum[2:]) / 2 for spectrum in spectra]
    peaks = [np.maximum(s[1:-1] - b, 0).sum() for s, b in zip(spectra, between, strict=True)]
    return [int(peak < 0.3) for peak in peaks]


def drums_decay(templates, activations):
    """From one frame to the next, the activation of a hit falls much, that of a note little."""
    before, after = activations[:, :-1], activations[:, 1:]
    falls = (before > 0.2 * activations.amax(dim=1, keepdim=True)) & (after < before)
    kept = torch.where(falls, after, torch.zeros(())).sum(dim=1)
    return kept / torch.where(falls, before, torch.zeros(())).sum(dim=1) < 0.75


def drums_like_their_average(templates, activations):
    """The correlation of a template with its own moving average over seven bins."""
    average = torch.nn.functional.avg_pool1d(templates.T[:, None], 7, 1, 3)[:, 0]
    return torch.cosine_similarity(average, templates.T, dim=1) > 0.75


def drums_by_median(templates, activations):
    """Chapter 5: a component whose spectrum survives a median filter across bins is percussive."""
    width = 7
    padded = torch.nn.functional.pad(templates.T[:, None], (3, 3), mode="reflect")[:, 0]
    smooth = padded.unfold(-1, width, 1).median(dim=-1).values
    return smooth.sum(dim=1) > 0.5 * templates.sum(dim=0)


def centroids(templates):
    return (torch.arange(len(templates))[:, None] * templates).sum(dim=0)


def largest(values, n):
    return values >= values.topk(n).values.min()


def drums_in_place(templates, activations):
    templates /= templates.amax(dim=0)
    return templates.mean(dim=0) > 0.1


def parts_of_step(data, templates, activations):
    numerator = templates.T @ (data / (templates @ activations))
    return numerator, templates.sum(dim=0)[:, None]


def sparse(data, templates, activations, weight):
    numerator, denominator = parts_of_step(data, templates, activations)
    return activations * numerator / (denominator + weight / (2 * activations.sqrt() + FLOOR))


def sparse_from_plain(data, templates, activations, weight):
    plain = update_activations(data, templates, activations, beta=1)
    denominator = templates.sum(dim=0).unsqueeze(1)
    return plain / (1 + 0.5 * weight * activations**-0.5 / denominator)


def sparse_numpy(data, templates, activations, weight):
    v, w, h = (np.asarray(x, dtype=np.float64) for x in (data, templates, activations))
    h = np.maximum(h, 1e-20)
    denominator = w.T @ np.ones_like(v) + weight / (2 * np.sqrt(h))
    return h * (w.T @ (v / (w @ h + FLOOR))) / denominator


def sparse_by_gradient(data, templates, activations, weight):
    variable = activations.clone().clamp(min=1e-20).requires_grad_()
    (weight * variable.sqrt().sum()).backward()
    numerator, denominator = parts_of_step(data, templates, activations)
    return activations * numerator / (denominator + variable.grad)


def sparse_with(change):
    """A step whose factor `change` makes of numerator, denominator, weight and activations."""

    def step(data, templates, activations, weight):
        numerator, denominator = parts_of_step(data, templates, activations)
        return activations * change(numerator, denominator, weight, activations)

    return step


def sparse_afterwards(data, templates, activations, weight):
    plain = update_activations(data, templates, activations, beta=1)
    return plain - weight / (2 * activations.sqrt())


def sparse_at_the_new(data, templates, activations, weight):
    numerator, denominator = parts_of_step(data, templates, activations)
    new = activations * numerator / denominator
    return activations * numerator / (denominator + weight / (2 * new.sqrt()))


def sparse_in_place(data, templates, activations, weight):
    activations[:] = sparse(data, templates, activations, weight)
    return activations


ANSWERS = {
    "update_templates": Answers(
        right={
            "as in the chapter": templates_step,
            "transposed": templates_turned,
            "NumPy in double precision": templates_numpy_double,
            "loops": templates_loop,
            "autograd": templates_by_gradient,
        },
        wrong={
            "Euclidean": (templates_with(2), "the Euclidean step"),
            "Itakura-Saito": (templates_with(0), "the Itakura-Saito step."),
            "new activations": (
                lambda v, w, h: update_activations(v, w, h, 1),
                "These are new activations",
            ),
            "upside down": (
                lambda v, w, h: w * h.sum(dim=1) / pulled(v, w, h),
                "The numerator goes above",
            ),
            "no denominator": (
                lambda v, w, h: w * pulled(v, w, h),
                "The denominator is missing",
            ),
            "no templates": (
                lambda v, w, h: pulled(v, w, h) / h.sum(dim=1),
                "That is the factor alone",
            ),
            "sum over components": (
                lambda v, w, h: w * pulled(v, w, h) / h.sum(dim=0),
                "sum over the other axis",
            ),
            "keepdim": (
                lambda v, w, h: w * pulled(v, w, h) / h.sum(dim=1, keepdim=True),
                "each bin by a different denominator",
            ),
            "denominator of the other factor": (
                lambda v, w, h: w * pulled(v, w, h) / w.sum(dim=0),
                "adds up the wrong factor",
            ),
            "no model": (lambda v, w, h: w * (v @ h.T) / h.sum(dim=1), "divide by the model"),
            "unit sums": (templates_scaled, "scale the templates to unit sums"),
            "in place": (templates_in_place, "Leave the tensors"),
        },
    ),
    "labelled_masks": Answers(
        right={
            "loop over components": masks_loop,
            "einsum": masks_einsum,
            "NumPy in double precision": masks_numpy,
            "foreign activations set to zero": masks_by_copies,
        },
        wrong={
            "counted from the owners": (masks_counted, "There are `n_sources` masks"),
            "per component": (masks_per_component, "not per component"),
            "energies": (masks_of_energy, "Share magnitudes, not energies"),
            "energies of components": (masks_of_component_energy, "square the components"),
            "winner takes all": (masks_winner, "each bin to one source"),
            "no templates": (masks_without_templates, "ignore the templates"),
            "models": (models_only, "the models of the sources"),
            "mean of nothing": (masks_of_means, "There is a NaN"),
            "mean": (
                lambda w, h, owners, n: masks_of_means(w, h, owners, n).nan_to_num(0.0),
                "mean of a source's components",
            ),
            "the last component only": (masks_of_last, "Only one component of each source"),
            "counted from one": (masks_from_one, "The owners count from 0"),
        },
    ),
    "drum_components": Answers(
        right={
            "smooth spectra": drums_are_smooth,
            "no peaks, as a list": drums_have_no_peaks,
            "close to its moving average": drums_like_their_average,
            "median filter across bins": drums_by_median,
        },
        wrong={
            "the pitched ones": (lambda w, h: ~drums_are_smooth(w, h), "invert your choice"),
            "none": (lambda w, h: torch.zeros(w.shape[1], dtype=torch.bool), "no drums at all"),
            "all": (lambda w, h: torch.ones(w.shape[1], dtype=torch.bool), "all components"),
            "bright": (lambda w, h: largest(centroids(w), 3), "follows the pitch"),
            "low": (lambda w, h: centroids(w) < 10, "follows the pitch"),
            "loud": (lambda w, h: largest(h.sum(dim=1), 3), "follows the loudness"),
            "the first three": (
                lambda w, h: torch.arange(w.shape[1]) < 3,
                "between neighbouring bins",
            ),
            "short decays": (drums_decay, "between neighbouring bins"),
            "flat": (lambda w, h: largest(flatness(w, h), 3), "flatness of the whole spectrum"),
            "flatness itself": (flatness, "True or False"),
            "numbers of the drums": (
                lambda w, h: drums_are_smooth(w, h).nonzero()[:, 0],
                "each of the 10 components",
            ),
            "one mask per bin": (lambda w, h: w > w.mean(), "each of the 10 components"),
            "in place": (drums_in_place, "Leave the tensors"),
        },
    ),
    "sparse_step": Answers(
        right={
            "as in the chapter": sparse,
            "from the plain step": sparse_from_plain,
            "NumPy in double precision": sparse_numpy,
            "autograd": sparse_by_gradient,
        },
        wrong={
            "no weight": (sparse_with(lambda up, down, w, h: up / down), "use `weight`"),
            "plain sum": (
                sparse_with(lambda up, down, w, h: up / (down + w)),
                "penalty on the plain sum",
            ),
            "no half": (
                sparse_with(lambda up, down, w, h: up / (down + w / h.sqrt())),
                "one more constant",
            ),
            "the penalty itself": (
                sparse_with(lambda up, down, w, h: up / (down + w * h.sqrt())),
                "needs its derivative",
            ),
            "its sum": (
                sparse_with(lambda up, down, w, h: up / (down + w * h.sqrt().sum())),
                "a derivative of its own",
            ),
            "added to the numerator": (
                sparse_with(lambda up, down, w, h: (up + w / (2 * h.sqrt())) / down),
                "makes activations larger",
            ),
            "taken from the numerator": (
                sparse_with(lambda up, down, w, h: (up - w / (2 * h.sqrt())) / down),
                "subtracted from the numerator",
            ),
            "afterwards": (sparse_afterwards, "subtract the penalty after the step"),
            "afterwards, clamped": (
                lambda *given: sparse_afterwards(*given).clamp(min=0),
                "clamp after subtracting",
            ),
            "at the new activations": (sparse_at_the_new, "at the new activations"),
            "upside down": (
                sparse_with(lambda up, down, w, h: (down + w / (2 * h.sqrt())) / up),
                "With weight 0 it is the plain",
            ),
            "in place": (sparse_in_place, "Leave the tensors"),
        },
    ),
}
