"""Answers to the exercises of chapter 16, Open-Unmix."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from answers import Answers
from common.signal.wiener import expectation_maximization, wiener_filter


def saved_by_counting(n_inputs: int, n_features: int) -> int:
    h = n_features // 2
    alone = 2 * 4 * (h * n_inputs + h * h + 2 * h)
    after = 2 * 4 * (h * n_features + h * h + 2 * h)
    return alone - after - n_inputs * n_features - 2 * n_features


def saved_in_one_formula(n_inputs: int, n_features: int) -> float:
    h = n_features / 2
    return 6 * h * n_inputs - 16 * h**2 - 4 * h


def saved_by_building(n_inputs: int, n_features: int) -> int:
    def blstm(n: int) -> nn.LSTM:
        return nn.LSTM(n, n_features // 2, bidirectional=True, device="meta")

    def size(net: nn.Module) -> int:
        return sum(x.numel() for x in net.parameters())

    matrix = nn.Linear(n_inputs, n_features, bias=False, device="meta")
    compressed = nn.ModuleList([matrix, nn.BatchNorm1d(n_features), blstm(n_features)])
    return size(blstm(n_inputs)) - size(compressed)


def saved_with_one_bias(n_inputs: int, n_features: int) -> np.integer:
    """As other frameworks have it: one bias per gate, which makes no difference."""
    inputs = np.array([n_inputs, n_features])
    h = n_features // 2
    alone, after = 8 * h * (inputs + h + 1)
    return alone - (n_inputs * n_features + 2 * n_features + after)


def missaved(
    directions: int = 2,
    per_direction: float = 0.5,
    gates: int = 4,
    bias: int = 0,
    norm: int = 2,
    after: bool = True,
    sign: int = 1,
) -> Callable[[int, int], int]:
    """A count with a mistake."""

    def count(n_inputs: int, n_features: int) -> int:
        h = int(per_direction * n_features)

        def blstm(n: int) -> int:
            return directions * gates * h * (n + h + 2)

        compression = n_inputs * n_features + (bias + norm) * n_features
        return sign * (blstm(n_inputs) - compression - after * blstm(n_features))

    return count


SAVED = Answers(
    right={
        "by counting": saved_by_counting,
        "in one formula": saved_in_one_formula,
        "by building": saved_by_building,
        "with one bias per gate": saved_with_one_bias,
    },
    wrong={
        "the sign": (missaved(sign=-1), "other way round"),
        "no norm": (missaved(norm=0), "two numbers per feature"),
        "a matrix with biases": (missaved(bias=1), "linear layer has no bias"),
        "one direction": (missaved(directions=1), "two directions"),
        "all features in each direction": (missaved(per_direction=1), "half of the features"),
        "one gate": (missaved(gates=1), "has four gates"),
        "three gates": (missaved(gates=3), "has four gates"),
        "the second BLSTM forgotten": (missaved(after=False), "compressed features, too"),
    },
)


def folded_by_formula(matrix: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    single = nn.Linear(matrix.in_features, matrix.out_features)
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = 0 if matrix.bias is None else matrix.bias
    single.weight.data = gain[:, None] * matrix.weight
    single.bias.data = gain * (bias - norm.running_mean) + norm.bias
    return single


def folded_by_trying(matrix: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    n_in = matrix.in_features
    single = nn.Linear(n_in, matrix.out_features)
    with torch.no_grad():
        bias = norm(matrix(torch.zeros(1, n_in)))
        single.bias.copy_(bias[0])
        single.weight.copy_((norm(matrix(torch.eye(n_in))) - bias).T)
    return single


def folded_by_torch(matrix: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    return fuse_linear_bn_eval(matrix, norm)


def folded_in_numpy(matrix: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    state = {k: v.numpy().astype(np.float64) for k, v in norm.state_dict().items()}
    gain = state["weight"] / np.sqrt(state["running_var"] + norm.eps)
    weight = matrix.weight.detach().numpy().astype(np.float64)
    bias = -state["running_mean"] * gain + state["bias"]
    if matrix.bias is not None:
        bias = bias + gain * matrix.bias.detach().numpy()
    single = nn.Linear(matrix.in_features, matrix.out_features, dtype=torch.double)
    single.weight.data = torch.from_numpy(np.diag(gain) @ weight)
    single.bias.data = torch.from_numpy(bias)
    return single


def misfolded(
    eps: bool = True,
    root: bool = True,
    gamma: bool = True,
    rows: bool = True,
    mean: int = -1,
    own: bool = True,
    gained: bool = True,
    beta: bool = True,
    in_place: bool = False,
    bias: bool = True,
) -> Callable[[nn.Linear, nn.BatchNorm1d], nn.Linear]:
    """One layer with a mistake."""

    def fold(matrix: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
        single = matrix if in_place else deepcopy(matrix)
        spread = norm.running_var + (norm.eps if eps else 0)
        gain = (norm.weight if gamma else 1) / (spread.sqrt() if root else spread)
        offset = matrix.bias.data if own and matrix.bias is not None else 0
        offset = offset + mean * norm.running_mean
        offset = (gain if gained else 1) * offset + (norm.bias if beta else 0)
        single.weight.data = (gain[:, None] if rows else gain) * matrix.weight
        single.bias = nn.Parameter(offset) if bias else None
        return single

    return fold


FOLDED = Answers(
    right={
        "by formula": folded_by_formula,
        "by trying": folded_by_trying,
        "by torch itself": folded_by_torch,
        "in NumPy, in float64": folded_in_numpy,
    },
    wrong={
        "eps forgotten": (misfolded(eps=False), "where does `norm.eps` go"),
        "no root": (misfolded(root=False), "square root"),
        "no gamma": (misfolded(gamma=False), "multiplies by `norm.weight`"),
        "columns for rows": (misfolded(rows=False), "rows, not the columns"),
        "the mean added": (misfolded(mean=1), "subtracts the running mean"),
        "no mean": (misfolded(mean=0), "subtracts the running mean"),
        "no beta": (misfolded(beta=False), "also adds `norm.bias`"),
        "the mean without gain": (misfolded(gained=False), "before it multiplies"),
        "the matrix's bias forgotten": (misfolded(own=False), "a bias of its own"),
        "no bias": (misfolded(bias=False), "needs a bias"),
        "in place": (misfolded(in_place=True), "were given have changed"),
        "both in a row": (lambda m, n: nn.Sequential(m, n), "Return an nn.Linear"),
    },
)


def covariance_by_einsum(spectrum: Tensor) -> Tensor:
    outer = torch.einsum("ifn,jfn->fij", spectrum, spectrum.conj())
    return outer / spectrum.abs().square().mean(dim=0).sum(dim=-1)[:, None, None]


def covariance_by_matrices(spectrum: Tensor) -> Tensor:
    y = spectrum.movedim(0, 1)  # (f, c, n)
    total = (y @ y.mH).diagonal(dim1=1, dim2=2).real.mean(dim=-1)
    return y @ y.mH / total[:, None, None]


def covariance_in_numpy(spectrum: Tensor) -> np.ndarray:
    y = spectrum.numpy()
    return np.stack([(y[:, f] @ y[:, f].conj().T) for f in range(y.shape[1])]) / (
        np.abs(y) ** 2
    ).mean(axis=0).sum(axis=-1).reshape(-1, 1, 1)


def covariance_frame_by_frame(spectrum: Tensor) -> Tensor:
    c, n_bins, n_frames = spectrum.shape
    found = torch.zeros(n_bins, c, c, dtype=torch.complex64)
    for f in range(n_bins):
        power = 0.0
        for n in range(n_frames):
            y = spectrum[:, f, n].to(torch.complex64)
            found[f] += torch.outer(y, y.conj())
            power += float(y.abs().square().mean())
        found[f] /= power
    return found


def outer_of(spectrum: Tensor) -> Tensor:
    return torch.einsum("ifn,jfn->fijn", spectrum, spectrum.conj())


def power_of(spectrum: Tensor) -> Tensor:
    return spectrum.abs().square().mean(dim=0)[:, None, None]


COVARIANCE = Answers(
    right={
        "by einsum": covariance_by_einsum,
        "by matrices": covariance_by_matrices,
        "in NumPy, frequency by frequency": covariance_in_numpy,
        "frame by frame, in 32 bits": covariance_frame_by_frame,
    },
    wrong={
        "no conjugate": (
            lambda y: torch.einsum("ifn,jfn->fij", y, y) / power_of(y).sum(-1),
            "conjugate of the second",
        ),
        "transposed": (lambda y: covariance_by_einsum(y).mT, "yours is transposed"),
        "magnitudes only": (
            lambda y: covariance_by_einsum(y.abs().to(y.dtype)),
            "keep the phases",
        ),
        "the real part": (lambda y: covariance_by_einsum(y).real, "matrix is complex"),
        "divided by the number of frames": (
            lambda y: outer_of(y).mean(-1),
            "number of frames",
        ),
        "the sum over channels": (
            lambda y: covariance_by_einsum(y) / len(y),
            "mean over channels",
        ),
        "divided frame by frame": (
            lambda y: (outer_of(y) / power_of(y)).mean(-1),
            "before you divide",
        ),
        "one matrix for all frequencies": (
            lambda y: (outer_of(y).sum((0, -1)) / power_of(y).sum()).expand(y.shape[1], -1, -1),
            "each frequency by itself",
        ),
        "one power for all frequencies": (
            lambda y: outer_of(y).sum(-1) / power_of(y).sum(),
            "by its own power",
        ),
        "channels first": (lambda y: covariance_by_einsum(y).movedim(0, -1), "The shape should be"),
    },
)


def split_by_filter(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
    vocals = torch.polar(magnitude, mixture.angle())
    return expectation_maximization(torch.stack([vocals, mixture - vocals]), mixture, n_iter)


def split_by_gain(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
    vocals = magnitude * mixture / mixture.abs().clamp(min=1e-12)
    estimates = torch.stack([vocals, mixture - vocals])
    for _ in range(n_iter):
        estimates = expectation_maximization(estimates, mixture)
    return estimates


def split_with_the_rest(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
    (vocals,) = wiener_filter(magnitude[None], mixture, n_iter, rest=True)
    return torch.stack([vocals, mixture - vocals])


def split_of(
    phase: Callable[[Tensor], Tensor] = torch.angle,
    rest: Callable[[Tensor, Tensor], Tensor] = lambda vocals, mixture: mixture - vocals,
    rounds: Callable[[int], int] = lambda n_iter: n_iter,
) -> Callable[..., Tensor]:
    """The filter with a mistake at its start, or with other numbers of rounds."""

    def split(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
        vocals = torch.polar(magnitude, phase(mixture))
        both = torch.stack([vocals, rest(vocals, mixture)])
        return expectation_maximization(both, mixture, rounds(n_iter))

    return split


def split_alone(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
    vocals = torch.polar(magnitude, mixture.angle())[None]
    (vocals,) = expectation_maximization(vocals, mixture, n_iter)
    return torch.stack([vocals, mixture - vocals])


def unfiltered(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
    vocals = torch.polar(magnitude, mixture.angle())
    return torch.stack([vocals, mixture - vocals])


def left_over_in_magnitude(vocals: Tensor, mixture: Tensor) -> Tensor:
    size = (mixture.abs() - vocals.abs()).clamp(min=0)
    return torch.polar(size, mixture.angle())


def split_then_subtracted(magnitude: Tensor, mixture: Tensor, n_iter: int = 1) -> Tensor:
    filtered = split_by_filter(magnitude, mixture, n_iter)
    return torch.stack([filtered[0], mixture - magnitude * mixture.sgn()])


VOCALS_AND_REST = Answers(
    right={
        "polar": split_by_filter,
        "by a gain, round by round": split_by_gain,
        "by the filter for the rest": split_with_the_rest,
    },
    wrong={
        "the vocals alone": (split_alone, "are the whole mixture"),
        "not filtered": (unfiltered, "not been filtered"),
        "the accompaniment first": (
            lambda m, x, n_iter=1: split_by_filter(m, x, n_iter).flip(0),
            "vocals, then accompaniment",
        ),
        "phase zero": (
            split_of(phase=lambda x: torch.zeros_like(x.real)),
            "phase of the mixture",
        ),
        "what is left of the magnitude": (
            split_of(rest=left_over_in_magnitude),
            "complex spectra, not magnitudes",
        ),
        "the mixture as accompaniment": (
            split_of(rest=lambda vocals, mixture: mixture),
            "minus the vocals",
        ),
        "always one round": (split_of(rounds=lambda n_iter: 1), "how often to filter"),
        "one round too many": (split_of(rounds=lambda n_iter: n_iter + 1), "filtered once more"),
        "the rest not filtered": (split_then_subtracted, "do not add up"),
    },
)

def share_of(power: Tensor, axis: int = 0) -> Tensor:
    return power / power.sum(dim=axis, keepdim=True)


def weights_in_numpy(power: Tensor) -> np.ndarray:
    v = power.numpy()
    return (v / v.sum(axis=0)) ** 3


def weights_of_dominance(power: Tensor) -> Tensor:
    dominant = power.argmax(dim=0)
    weights = torch.full_like(power, 1e-6)
    for j in range(len(power)):
        weights[j, dominant == j] = 1.0
    return weights


def weights_in_place(power: Tensor) -> Tensor:
    power /= power.sum(dim=0)
    return power**4


FRAME_WEIGHTS = Answers(
    right={
        "a power of the share": lambda v: share_of(v) ** 4,
        "in NumPy": weights_in_numpy,
        "a threshold": lambda v: (share_of(v) > 0.5) + 1e-6,
        "the dominant source": weights_of_dominance,
        "the ratio to all others, squared": lambda v: (v / (v.sum(dim=0) - v)) ** 2,
    },
    wrong={
        "equal weights": (torch.ones_like, "Equal weights are the baseline"),
        "the power": (lambda v: v, "Loud frames count more already"),
        "the share of the others": (lambda v: 1 - share_of(v), "other sources are louder"),
        "a share among frequencies": (lambda v: share_of(v, 1), "share among frequencies"),
        "the same for all sources": (
            lambda v: share_of(v).amax(dim=0).expand_as(v),
            "same weights",
        ),
        "the share alone": (share_of, "count much less"),
        "one weight per bin": (lambda v: share_of(v).amax(dim=0), "the shape is"),
        "negative weights": (lambda v: share_of(v) - 0.5, "weight is negative"),
        "a threshold too high": (lambda v: 1.0 * (share_of(v) > 0.95), "all weights of a source"),
        "the root of the power": (torch.sqrt, "lower than with equal weights"),
        "in place": (weights_in_place, "powers have changed"),
    },
)

ANSWERS = {
    "saved": SAVED,
    "folded": FOLDED,
    "covariance": COVARIANCE,
    "vocals_and_rest": VOCALS_AND_REST,
    "frame_weights": FRAME_WEIGHTS,
}
