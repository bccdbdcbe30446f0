"""Answers to the exercises of chapter 17, D3Net."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np
import torch
from scipy import signal
from torch import Tensor
from torch.nn import functional

from answers import Answers
from common.models.d3_blocks import D2Block


def reach_by_sum(dilations: Sequence[int], size: int = 3) -> int:
    return 1 + (size - 1) * sum(dilations)


def reach_layer_by_layer(dilations: Sequence[int], size: int = 3) -> int:
    first = last = 0
    for d in dilations:
        first -= size // 2 * d
        last += size // 2 * d
    return last - first + 1


def reach_in_numpy(dilations: Sequence[int], size: int = 3) -> np.integer:
    return np.sum((size - 1) * np.asarray(dilations, dtype=int)) + 1


def reach_by_gradient(dilations: Sequence[int], size: int = 3) -> Tensor:
    x = torch.ones(1, 1, 401, dtype=torch.double, requires_grad=True)
    y = x
    for d in dilations:
        taps = torch.ones(1, 1, size, dtype=torch.double)
        y = functional.conv1d(y, taps, padding=size // 2 * d, dilation=d)
    (grad,) = torch.autograd.grad(y[0, 0, 200], x) if dilations else (torch.eye(401)[200],)
    seen = grad.flatten().nonzero()
    return seen.max() - seen.min() + 1


def offsets(dilations: Sequence[int], size: int = 3) -> set[int]:
    """Which samples are read, counted from the middle."""
    taps = range(-(size // 2), size // 2 + 1)
    steps = product(*([d * tap for tap in taps] for d in dilations))
    return {sum(path) for path in steps}


REACH = Answers(
    right={
        "by a sum": reach_by_sum,
        "layer by layer": reach_layer_by_layer,
        "in NumPy": reach_in_numpy,
        "by a gradient": reach_by_gradient,
    },
    wrong={
        "one short": (lambda ds, size=3: (size - 1) * sum(ds), "the sample itself counts as well"),
        "one side": (lambda ds, size=3: 1 + size // 2 * sum(ds), "count one side only"),
        "always three taps": (lambda ds, size=3: 1 + 2 * sum(ds), "kernels of 3 taps: use `size`"),
        "without dilations": (
            lambda ds, size=3: 1 + (size - 1) * len(ds),
            "layers had dilation 1",
        ),
        "the widest layer": (
            lambda ds, size=3: 1 + (size - 1) * max(ds, default=0),
            "the widest layer",
        ),
        "windows multiplied": (
            lambda ds, size=3: int(np.prod([1 + (size - 1) * d for d in ds])),
            "both sides is summed",
        ),
        "only the samples that are read": (
            lambda ds, size=3: len(offsets(ds, size)),
            "that are skipped",
        ),
        "dilation times size": (
            lambda ds, size=3: 1 + sum(size * d for d in ds),
            "distance between two taps",
        ),
    },
)


def holes_by_sets(dilations: Sequence[int]) -> list[int]:
    read = offsets(dilations)
    return [n for n in range(min(read), max(read) + 1) if n not in read]


def holes_by_convolution(dilations: Sequence[int]) -> np.ndarray:
    reads = np.ones(1, dtype=int)
    for d in dilations:
        taps = np.zeros(2 * d + 1, dtype=int)
        taps[[0, d, 2 * d]] = 1
        reads = np.convolve(reads, taps)
    return np.flatnonzero(reads == 0) - sum(dilations)


def holes_in_torch(dilations: Sequence[int]) -> Tensor:
    read = torch.zeros(1, dtype=torch.long)
    for d in dilations:
        read = (read[:, None] + torch.tensor([-d, 0, d])).flatten()
    every = torch.arange(int(read.min()), int(read.max()) + 1)
    return every[~torch.isin(every, read)]


def holes_if_read(
    read_by: Callable[[Sequence[int]], Iterable[int]],
) -> Callable[[Sequence[int]], list[int]]:
    """The holes if other samples were read."""

    def find(dilations: Sequence[int]) -> list[int]:
        end, read = sum(dilations), set(read_by(dilations))
        return [n for n in range(-end, end + 1) if n not in read]

    return find


HOLES = Answers(
    right={
        "by sets": holes_by_sets,
        "by convolution, an array": holes_by_convolution,
        "in torch": holes_in_torch,
    },
    wrong={
        "each layer by itself": (
            holes_if_read(lambda ds: {0, *ds, *(-d for d in ds)}),
            "steps of all layers add up",
        ),
        "no step straight ahead": (
            holes_if_read(lambda ds: {sum(p) for p in product(*([-d, d] for d in ds))}),
            "has one in the middle",
        ),
        "forward only": (
            holes_if_read(lambda ds: {sum(p) for p in product(*([0, d] for d in ds))}),
            "samples on both sides",
        ),
        "one side": (
            lambda ds: [n for n in holes_by_sets(ds) if n > 0],
            "has holes on both sides",
        ),
        "what is read": (lambda ds: sorted(offsets(ds)), "You list the samples that are read"),
        "beyond the ends": (
            lambda ds: [n for n in range(-20, 21) if n not in offsets(ds)],
            "between the outermost",
        ),
        "counted from the first sample": (
            lambda ds: [n + sum(ds) for n in holes_by_sets(ds)],
            "Count from the middle",
        ),
    },
)


def dense_by_formula(n_in: int, growth: int, n_layers: int) -> int:
    pairs = n_layers * (n_layers - 1) // 2
    return 9 * growth * (n_in * n_layers + growth * pairs)


def dense_layer_by_layer(n_in: int, growth: int, n_layers: int) -> int:
    total, channels = 0, n_in
    for _ in range(n_layers):
        total += 3 * 3 * channels * growth
        channels += growth
    return total


def dense_in_numpy(n_in: int, growth: int, n_layers: int) -> np.integer:
    sources = np.array([n_in] + [growth] * (n_layers - 1))
    return (9 * sources * growth * np.arange(n_layers, 0, -1)).sum()


def dense_by_building(n_in: int, growth: int, n_layers: int) -> int:
    block = D2Block(n_in, growth, n_layers)
    return sum(weight.numel() for weight in block.parameters() if weight.ndim == 4)


def misdense(
    taps: int = 9,
    pairs: Callable[[int], int] = lambda n: n * (n - 1) // 2,
    inputs: Callable[[int], int] = lambda n: n,
    biases: bool = False,
) -> Callable[[int, int, int], int]:
    """A count with a mistake."""

    def count(n_in: int, growth: int, n_layers: int) -> int:
        total = growth * (n_in * inputs(n_layers) + growth * pairs(n_layers))
        return taps * total + biases * growth * n_layers * (n_layers + 1) // 2

    return count


DENSE_WEIGHTS = Answers(
    right={
        "by formula": dense_by_formula,
        "layer by layer": dense_layer_by_layer,
        "in NumPy, by what is read": dense_in_numpy,
        "by building": dense_by_building,
    },
    wrong={
        "one dimension": (misdense(taps=3), "nine weights"),
        "one weight per pair": (misdense(taps=1), "nine weights"),
        "with biases": (misdense(biases=True), "count the biases"),
        "with norms": (
            lambda n_in, growth, n: (
                dense_by_formula(n_in, growth, n) + 2 * (n_in + growth * (n - 1))
            ),
            "count the normalisation layers",
        ),
        "the input only": (misdense(pairs=lambda n: 0), "also read earlier layers"),
        "a plain stack": (
            misdense(pairs=lambda n: n - 1, inputs=lambda n: 1),
            "not only the previous one",
        ),
        "the input is read once": (misdense(inputs=lambda n: 1), "every layer reads the input"),
        "layers read themselves": (
            misdense(pairs=lambda n: n * (n + 1) // 2),
            "layer can read itself",
        ),
        "all pairs, in both directions": (misdense(pairs=lambda n: n * (n - 1)), "not later ones"),
    },
)


def naive_by_stacking(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    for j, weight in enumerate(weights):
        y = functional.conv1d(x, weight, padding=2**j, dilation=2**j)
        x = torch.cat([x, y], dim=1)
    return y


def naive_by_shifting(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    for j, weight in enumerate(weights):
        d, n = 2**j, x.shape[-1]
        wide = functional.pad(x, (d, d))
        taps = [wide[..., k * d : k * d + n] for k in range(3)]
        y = sum(torch.einsum("oi,bin->bon", weight[..., k], tap) for k, tap in enumerate(taps))
        x = torch.cat([x, y], dim=1)
    return x[:, -weights[-1].shape[0] :]


def naive_in_numpy(x: Tensor, weights: Sequence[Tensor]) -> np.ndarray:
    stack = x.numpy().astype(np.float64)
    for j, weight in enumerate(weights):
        d, (b, _, n) = 2**j, stack.shape
        out = np.zeros((b, weight.shape[0], n))
        for at in range(n):
            for tap, place in enumerate((at - d, at, at + d)):
                if 0 <= place < n:
                    out[..., at] += stack[..., place] @ weight[..., tap].numpy().T
        stack = np.concatenate([stack, out], axis=1)
    return out


def naive_by_modules(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    found = [x]
    for j, weight in enumerate(weights):
        n_out, n_in, size = weight.shape
        layer = torch.nn.Conv1d(n_in, n_out, size, padding="same", dilation=2**j, bias=False).eval()
        layer.weight.data = weight
        found.append(layer(torch.cat(found, dim=1)))
    return found[-1]


def misstacked(
    dilation: Callable[[int], int] = lambda j: 2**j,
    newest_first: bool = False,
    relu: bool = False,
    causal: bool = False,
    everything: bool = False,
    flip: bool = False,
) -> Callable[[Tensor, Sequence[Tensor]], Tensor]:
    """Dense layers with a mistake."""

    def dense(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        for j, weight in enumerate(weights):
            d = dilation(j)
            wide = functional.pad(x, (2 * d, 0) if causal else (d, d))
            y = functional.conv1d(wide, weight.flip(-1) if flip else weight, dilation=d)
            y = y.relu() if relu else y
            x = torch.cat([y, x] if newest_first else [x, y], dim=1)
        return x if everything else y

    return dense


def each_at_its_own(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    found = [x]
    for weight in weights:
        parts = weight.split([y.shape[1] for y in found], dim=1)
        layers = enumerate(zip(found, parts, strict=True))
        found.append(
            sum(functional.conv1d(y, w, padding=2**i, dilation=2**i) for i, (y, w) in layers)
        )
    return found[-1]


def shortened(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    for j, weight in enumerate(weights):
        y = functional.conv1d(x, weight, dilation=2**j)
        x = torch.cat([x[..., 2**j : -(2**j)], y], dim=1)
    return y


NAIVE_DENSE = Answers(
    right={
        "by stacking": naive_by_stacking,
        "by shifting": naive_by_shifting,
        "in NumPy, sample by sample": naive_in_numpy,
        "by modules": naive_by_modules,
    },
    wrong={
        "dilation 1": (misstacked(lambda j: 1), "All layers have dilation 1"),
        "dilations that grow by one": (misstacked(lambda j: j + 1), "they should double"),
        "dilations from 2": (misstacked(lambda j: 2 ** (j + 1)), "dilation 1, not 2"),
        "multi-dilated": (each_at_its_own, "multi-dilated block"),
        "the newest layer first": (misstacked(newest_first=True), "the input first"),
        "with ReLU": (misstacked(relu=True), "no activation"),
        "causal": (misstacked(causal=True), "on both sides"),
        "everything stacked": (misstacked(everything=True), "The last layer"),
        "no padding": (shortened, "length stays"),
        "kernels turned around": (misstacked(flip=True), "are reversed"),
    },
)


def least_squares(noisy: Tensor, slow: Tensor) -> Tensor:
    windows = noisy.unfold(-1, 7, 1).reshape(-1, 7)
    return torch.linalg.lstsq(windows, slow[:, 3:-3].reshape(-1, 1)).solution[:, 0]


def by_normal_equations(noisy: Tensor, slow: Tensor) -> np.ndarray:
    x, y = noisy.numpy().astype(float), slow.numpy().astype(float)
    shifted = [np.roll(x, -k, axis=-1) for k in range(-3, 4)]
    covariance = np.array([[np.sum(a * b) for b in shifted] for a in shifted])
    return np.linalg.solve(covariance, np.array([np.sum(a * y) for a in shifted]))


def by_descent(noisy: Tensor, slow: Tensor) -> Tensor:
    taps = torch.full((7,), 1 / 7, requires_grad=True)
    optimiser = torch.optim.Adam([taps], lr=0.01)
    for _ in range(200):
        error = functional.conv1d(noisy[:, None], taps[None, None])[:, 0] - slow[:, 3:-3]
        optimiser.zero_grad()
        error.square().mean().backward()
        optimiser.step()
    return taps


def by_design(noisy: Tensor, slow: Tensor) -> np.ndarray:
    return signal.firls(7, [0, 0.06, 0.125, 0.5], [1, 1, 0, 0], fs=1)


def fixed(taps: Sequence[float]) -> Callable[[Tensor, Tensor], Tensor]:
    """These taps, divided by 16, whatever the examples are."""
    return lambda noisy, slow: torch.tensor(taps) / 16


SMOOTHING_TAPS = Answers(
    right={
        "least squares": least_squares,
        "normal equations, in NumPy": by_normal_equations,
        "gradient descent, with its gradient": by_descent,
        "a filter design": by_design,
        "a Gaussian": lambda noisy, slow: torch.softmax(-(torch.arange(-3.0, 4) ** 2) / 9, 0),
    },
    wrong={
        "no filter": (fixed([0, 0, 0, 16, 0, 0, 0]), "average several samples"),
        "equal taps": (lambda noisy, slow: torch.full((7,), 1 / 7), "the middle more weight"),
        "the two layers of the chapter": (fixed([1, 2, 3, 4, 3, 2, 1]), "a good answer reaches"),
        "three taps": (fixed([0, 0, 4, 8, 4, 0, 0]), "a good answer reaches"),
        "not divided by the sum": (fixed([16, 32, 48, 64, 48, 32, 16]), "keep its level"),
        "a filter for changes": (fixed([0, 0, -16, 32, -16, 0, 0]), "keep its level"),
        "a filter of the past": (fixed([4, 4, 4, 4, 0, 0, 0]), "your filter is shifted"),
        "as in the example, three only": (
            lambda noisy, slow: torch.tensor([0.25, 0.5, 0.25]),
            "Return seven taps",
        ),
        "the filtered signals": (
            lambda noisy, slow: functional.avg_pool1d(noisy, 7, 1),
            "Return seven taps",
        ),
        "fitted the other way round": (
            lambda noisy, slow: least_squares(slow, noisy),
            "a good answer reaches",
        ),
    },
)

ANSWERS = {
    "reach": REACH,
    "holes": HOLES,
    "dense_weights": DENSE_WEIGHTS,
    "naive_dense": NAIVE_DENSE,
    "smoothing_taps": SMOOTHING_TAPS,
}
