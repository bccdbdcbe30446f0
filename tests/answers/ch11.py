"""Answers to the exercises of chapter 11, mask inference."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import nn

from answers import Answers
from common.models.mask_inference import LogMagnitude


def count(h, n_bins, n_sources, rows=2, reads=2, directions=2, norm=2, biases=1, layers=2):
    """The number of weights of the net, or a number that a mistake gives."""
    lstm = 4 * directions * (h * n_bins + h * h + rows * h)
    lstm += (layers - 1) * 4 * directions * (h * reads * h + h * h + rows * h)
    return norm * n_bins + lstm + (directions * h + biases) * n_sources * n_bins


def sized(width=2, **mistake):
    """The largest size for a way to count."""

    def largest_hidden(n_bytes, n_bins=1025, n_sources=4):
        h = 0
        while width * count(h + 1, n_bins, n_sources, **mistake) <= n_bytes:
            h += 1
        return h

    return largest_hidden


def by_formula(n_bytes, n_bins=1025, n_sources=4):
    a = 8 * 4
    b = 8 * n_bins + 32 + 2 * n_sources * n_bins
    c = 2 * n_bins + n_sources * n_bins - n_bytes // 2
    return int(np.floor((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)))


def by_bisection(n_bytes, n_bins=1025, n_sources=4):
    low, high = 0, 100_000
    while high - low > 1:
        middle = (low + high) // 2
        if 2 * count(middle, n_bins, n_sources) <= n_bytes:
            low = middle
        else:
            high = middle
    return torch.tensor(low)


def as_float(n_bytes, n_bins=1025, n_sources=4):
    return float(sized()(n_bytes, n_bins, n_sources))


def with_room_to_spare(n_bytes, n_bins=1025, n_sources=4):
    h = 0
    while 2 * count(h + 1, n_bins, n_sources) < n_bytes:
        h += 1
    return h


def head_reads_one_direction(n_bytes, n_bins=1025, n_sources=4):
    h = 0
    while 2 * (count(h + 1, n_bins, n_sources) - (h + 1) * n_sources * n_bins) <= n_bytes:
        h += 1
    return h


LARGEST_HIDDEN = Answers(
    right={
        "one size after another": sized(),
        "quadratic formula": by_formula,
        "bisection, a tensor": by_bisection,
        "a float": as_float,
    },
    wrong={
        "four bytes": (sized(width=4), "four bytes per weight"),
        "one byte": (sized(width=1), "one byte per weight"),
        "no normalisation": (sized(norm=0), "Batch normalisation is not counted"),
        "only the scale of the normalisation": (sized(norm=1), "What is not counted?"),
        "head without biases": (sized(biases=0), "The biases of the head"),
        "one bias vector": (sized(rows=1), "Only one bias per gate is counted"),
        "second layer reads h": (sized(reads=1), "The second layer reads the features"),
        "one direction": (sized(directions=1, reads=1), "an LSTM in one direction"),
        "one layer": (sized(layers=1), "a net with one layer"),
        "three layers": (sized(layers=3), "would also fit. What is counted twice?"),
        "head reads h": (
            head_reads_one_direction,
            "The head reads the features of both directions",
        ),
        "strictly less": (with_room_to_spare, "A net of exactly `n_bytes` fits"),
        "one too far": (lambda *case: sized()(*case) + 1, "first size that does not fit"),
        "not rounded": (lambda *case: sized()(*case) + 0.5, "positive whole number"),
        "zero": (lambda *case: 0, "positive whole number"),
    },
)


def softmax_by_hand(numbers, n_sources):
    b, n, d = numbers.shape
    powers = torch.exp(numbers).reshape(b, n, n_sources, d // n_sources)
    return (powers / powers.sum(dim=2, keepdim=True)).permute(0, 2, 3, 1)


def softmax_in_a_loop(numbers, n_sources):
    parts = [part.transpose(1, 2).exp() for part in numbers.chunk(n_sources, dim=-1)]
    whole = sum(parts)
    return torch.stack([part / whole for part in parts], dim=1)


def softmax_in_numpy(numbers, n_sources):
    x = rearrange(numbers.double().numpy(), "b n (s f) -> b s f n", s=n_sources)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def split(numbers, n_sources):
    return rearrange(numbers, "b n (s f) -> b s f n", s=n_sources)


def one_takes_all(numbers, n_sources):
    winner = split(numbers, n_sources).argmax(dim=1)
    return nn.functional.one_hot(winner, n_sources).movedim(-1, 1).float()


def sigmoids_divided(numbers, n_sources):
    masks = torch.sigmoid(split(numbers, n_sources))
    return masks / masks.sum(dim=1, keepdim=True)


COMPETING_MASKS = Answers(
    right={
        "einops": lambda x, s: torch.softmax(split(x, s), dim=1),
        "by hand, double": lambda x, s: softmax_by_hand(x.double(), s),
        "in a loop": softmax_in_a_loop,
        "numpy": softmax_in_numpy,
        "transposed first": lambda x, s: x.mT.unflatten(1, (s, -1)).softmax(1),
    },
    wrong={
        "sigmoid": (lambda x, s: split(x, s).sigmoid(), "That is the sigmoid"),
        "numbers as they are": (lambda x, s: split(x, s), "the softmax is missing"),
        "logarithms": (lambda x, s: split(x, s).log_softmax(1), "logarithms of masks"),
        "over the bins": (
            lambda x, s: split(x, s).softmax(2),
            "over another axis than the sources",
        ),
        "before the split": (
            lambda x, s: split(x.softmax(-1), s),
            "of all sources should add up to 1",
        ),
        "sources innermost": (
            lambda x, s: rearrange(x, "b n (f s) -> b s f n", s=s).softmax(1),
            "belong to the first source",
        ),
        "reshaped only": (
            lambda x, s: x.reshape(len(x), s, -1, x.shape[1]).softmax(1),
            "A reshape to (b, s, f, n) alone mixes",
        ),
        "frames before bins": (
            lambda x, s: rearrange(x, "b n (s f) -> b s n f", s=s).softmax(1),
            "Masks are (b, s, f, n)",
        ),
        "softmin": (lambda x, s: (-split(x, s)).softmax(1), "check the sign"),
        "one takes all": (one_takes_all, "is given to one source only"),
        "sigmoids, divided": (sigmoids_divided, "divide the exponentials by their sum"),
    },
)


def decibels(magnitude, floor):
    return 20 * torch.log10(magnitude.clamp(min=floor))


class OneColumn(nn.Module):
    """Normalise one long column of all the numbers."""

    def __init__(self, floor=1e-4):
        super().__init__()
        self.floor = floor
        self.norm = nn.BatchNorm1d(1)

    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        return self.norm(level.reshape(-1, 1)).reshape(level.shape)


class OnePicture(OneColumn):
    """The whole batch as one picture with one channel; the floor is added."""

    def __init__(self, floor=1e-4):
        super().__init__(floor)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, magnitude):
        level = torch.log(magnitude + self.floor)
        tall = rearrange(level, "b c f n -> (b c) 1 f n")
        return rearrange(self.norm(tall), "(b c) 1 f n -> b c f n", c=magnitude.shape[1])


class ByHand(nn.Module):
    """Averages kept in buffers, slower than batch normalisation keeps them."""

    def __init__(self, floor=1e-4, momentum=0.01, eps=1e-5):
        super().__init__()
        self.floor, self.momentum, self.eps = floor, momentum, eps
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("variance", torch.tensor(1.0))

    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        mean, variance = self.mean, self.variance
        if self.training:
            mean, variance = level.mean(), level.var(unbiased=False)
            self.mean += self.momentum * (mean.detach() - self.mean)
            self.variance += self.momentum * (variance.detach() - self.variance)
        return (level - mean) / torch.sqrt(variance + self.eps)


class Cumulative(OneColumn):
    """The plain mean of all batches, without learned numbers."""

    def __init__(self, floor=1e-4):
        super().__init__(floor)
        self.norm = nn.BatchNorm1d(1, momentum=None, affine=False)


class NoAverages(OneColumn):
    def __init__(self, floor=1e-4):
        super().__init__(floor)
        self.norm = nn.BatchNorm1d(1, track_running_stats=False)


class NoAveragesByHand(OneColumn):
    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        return (level - level.mean()) / (level.std() + 1e-5)


class PerBin(LogMagnitude):
    def __init__(self, floor=1e-4):
        super().__init__(6, floor)


class PerChannel(OneColumn):
    def __init__(self, floor=1e-4):
        super().__init__(floor)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, magnitude):
        return self.norm(decibels(magnitude, self.floor))


class PerRecording(OneColumn):
    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        return nn.functional.layer_norm(level, level.shape[1:])


class NoLevels(OneColumn):
    def forward(self, magnitude):
        return self.norm(magnitude.reshape(-1, 1)).reshape(magnitude.shape)


class NoNorm(OneColumn):
    def forward(self, magnitude):
        return decibels(magnitude, self.floor)


class NoScale(OneColumn):
    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        return level - level.mean()


class ByVariance(OneColumn):
    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        return (level - level.mean()) / level.var()


class NoFloor(OneColumn):
    def forward(self, magnitude):
        level = 20 * torch.log10(magnitude)
        return self.norm(level.reshape(-1, 1)).reshape(level.shape)


class FixedFloor(OneColumn):
    def __init__(self, floor=1e-4):
        super().__init__(1e-4)


class DivisionByZero(ByHand):
    def __init__(self, floor=1e-4):
        super().__init__(floor, eps=0.0)


class AlwaysLearning(ByHand):
    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        out = super().forward(magnitude)
        self.mean = 0.99 * self.mean + 0.01 * level.mean()
        return out


class ChangedPlaces(OneColumn):
    def forward(self, magnitude):
        level = decibels(magnitude, self.floor)
        column = rearrange(level, "b c f n -> (b n c f) 1")
        return self.norm(column).reshape(level.shape)


class OneLongColumn(OneColumn):
    def forward(self, magnitude):
        return self.norm(decibels(magnitude, self.floor).reshape(-1, 1))


class ReturnsNothing(OneColumn):
    def forward(self, magnitude):
        self.norm(decibels(magnitude, self.floor).reshape(-1, 1))


GLOBAL = Answers(
    right={
        "one column": OneColumn,
        "one picture, natural logarithm, floor added": OnePicture,
        "by hand, slow averages": ByHand,
        "cumulative averages": Cumulative,
    },
    wrong={
        "no running averages": (NoAverages, "by its own mean"),
        "no running averages, by hand": (NoAveragesByHand, "by its own mean"),
        "a mean per bin": (PerBin, "Every bin has a mean of its own"),
        "a mean per channel": (PerChannel, "Every channel has a mean of its own"),
        "a mean per recording": (PerRecording, "Every recording has a mean of its own"),
        "magnitudes": (NoLevels, "take their levels in dB first"),
        "not normalised": (NoNorm, "not normalised yet"),
        "no scale": (NoScale, "the scale is missing"),
        "divided by the variance": (ByVariance, "not by the variance"),
        "no floor": (NoFloor, "apply the floor first"),
        "floor not used": (FixedFloor, "is `floor` used?"),
        "no spread": (DivisionByZero, "a division by zero gives NaN"),
        "averages move in eval mode": (AlwaysLearning, "running averages should not change"),
        "changed places": (ChangedPlaces, "the order of numbers is not"),
        "left as a column": (OneLongColumn, "The shape stays (b, c, f, n)"),
        "no return": (ReturnsNothing, "`forward` returns nothing yet"),
    },
)


class LateReLU(nn.Module):
    """Two linear layers without biases and a ReLU at the very end."""

    def __init__(self, f, h):
        super().__init__()
        self.first = nn.Linear(f, h, bias=False)
        self.last = nn.Linear(h, 2 * h, bias=False)

    def forward(self, x):
        return torch.relu(self.last(self.first(x)))


class Kernels(nn.Module):
    """Convolution over a single frame, as an LSTM of one step would see it."""

    def __init__(self, f, h, width=1):
        super().__init__()
        self.conv = nn.Conv1d(f, 2 * h, width, padding=width // 2)

    def forward(self, x):
        return self.conv(x.mT).mT.tanh()


class FrameLoop(nn.Module):
    """One frame after another."""

    def __init__(self, f, h):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(f, 2 * h), nn.GELU())

    def forward(self, x):
        return torch.stack([self.net(x[:, n]) for n in range(x.shape[1])], dim=1)


class Blstm(nn.Module):
    def __init__(self, f, h, bidirectional=True):
        super().__init__()
        width = h if bidirectional else 2 * h
        self.lstm = nn.LSTM(f, width, batch_first=True, bidirectional=bidirectional)

    def forward(self, x):
        return self.lstm(x)[0]


class AcrossTheBatch(nn.Module):
    """An LSTM that takes the first axis for time: it reads across recordings."""

    def __init__(self, f, h):
        super().__init__()
        self.lstm = nn.LSTM(f, h, bidirectional=True)

    def forward(self, x):
        return self.lstm(x)[0]


class Flattened(nn.Module):
    """All frames into one linear layer, nine at a time."""

    def __init__(self, f, h):
        super().__init__()
        self.linear = nn.Linear(9 * f, 9 * 2 * h)

    def forward(self, x):
        return torch.relu(self.linear(x.flatten(1))).unflatten(1, (9, -1))


class FramesNormalised(Kernels):
    """Normalised over frames, which uses context too."""

    def forward(self, x):
        return super().forward((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True))


def perceptron(f, h, *more):
    return nn.Sequential(nn.Linear(f, 2 * h), nn.ReLU(), *more)


FRAME_BY_FRAME = Answers(
    right={
        "two layers": lambda f, h: perceptron(f, h, nn.Linear(2 * h, 2 * h), nn.ReLU()),
        "dropout, in training mode": lambda f, h: perceptron(f, h, nn.Dropout(0.3)).train(),
        "ReLU at the end, no biases": LateReLU,
        "no biases": lambda f, h: nn.Sequential(nn.Linear(f, 2 * h, bias=False), nn.ReLU()),
        "tanh, no biases": lambda f, h: nn.Sequential(nn.Linear(f, 2 * h, bias=False), nn.Tanh()),
        "kernels of one frame": Kernels,
        "loop over frames": FrameLoop,
        "layer norm": lambda f, h: perceptron(f, h, nn.LayerNorm(2 * h)),
    },
    wrong={
        "both directions": (Blstm, "this module uses context"),
        "one direction": (lambda f, h: Blstm(f, h, False), "this module uses context"),
        "three frames at once": (lambda f, h: Kernels(f, h, 3), "this module uses context"),
        "normalised over frames": (FramesNormalised, "this module uses context"),
        "across the batch": (AcrossTheBatch, "changed the other: check the axes"),
        "linear": (
            lambda f, h: nn.Sequential(nn.Linear(f, h), nn.Linear(h, 2 * h)),
            "The module is linear",
        ),
        "dropout alone": (
            lambda f, h: nn.Sequential(nn.Linear(f, 2 * h), nn.Dropout(0.3)),
            "The module is linear",
        ),
        "half as many features": (
            lambda f, h: nn.Sequential(nn.Linear(f, h), nn.ReLU()),
            "returns twice as many features",
        ),
        "nothing but features in": (lambda f, h: nn.ReLU(), "should become (2, 9, 12)"),
        "a bare LSTM": (
            lambda f, h: nn.LSTM(f, h, batch_first=True, bidirectional=True),
            "returns a tuple",
        ),
        "a fixed number of frames": (Flattened, "this module uses context"),
        "a function": (lambda f, h: torch.relu, "Return a module"),
        "sizes typed in": (lambda f, h: perceptron(10, 6), "use `n_features` and `hidden_size`"),
    },
)


def smoothed(masks, width=5, axis=-1):
    """The mean over neighbours along one axis."""
    x = masks.movedim(axis, -1)
    x = nn.functional.pad(x, (width // 2, width // 2), mode="replicate")
    return x.unfold(-1, width, 1).mean(dim=-1).movedim(-1, axis)


def shares(masks, power=1.0):
    raised = masks**power
    return raised / raised.sum(dim=0)


def median_in_numpy(masks, magnitude):
    padded = np.pad(masks.numpy(), ((0, 0), (0, 0), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=-1)
    raised = np.median(windows, axis=-1) ** 2
    return raised / raised.sum(axis=0)


def energies_smoothed(masks, magnitude):
    energy = smoothed((masks * magnitude) ** 2)
    return energy / energy.sum(dim=0)


def logits_smoothed(masks, magnitude):
    return torch.softmax(2 * smoothed(torch.logit(masks)), dim=0)


REFINED = Answers(
    right={
        "smoothed, cubed, divided by the sum": lambda m, x: shares(smoothed(m), 3),
        "a median filter, in NumPy": median_in_numpy,
        "energies, smoothed": energies_smoothed,
        "softmax of smoothed logits": logits_smoothed,
        "cubed, divided by the sum": lambda m, x: shares(m, 3),
    },
    wrong={
        "unchanged": (lambda m, x: m, "These are the given masks"),
        "divided by the sum alone": (lambda m, x: shares(m), "Use the neighbouring frames"),
        "smoothed alone": (lambda m, x: smoothed(m), "do not add up to 1"),
        "squared alone": (lambda m, x: m**2, "do not add up to 1"),
        "smoothed along frequency": (
            lambda m, x: shares(smoothed(m, axis=1), 2),
            "Smooth along time, not along frequency",
        ),
        "one mask for all frames": (
            lambda m, x: shares(m.mean(dim=-1, keepdim=True).expand_as(m), 2),
            "the same in every frame",
        ),
        "binary": (lambda m, x: (m == m.amax(dim=0)).float(), "keep the masks soft"),
        "sharpened beyond 1": (lambda m, x: 1.5 * m, "below 0 or above 1"),
        "estimates instead of masks": (lambda m, x: m * x, "below 0 or above 1"),
        "a sum over the sources": (lambda m, x: m.sum(dim=0), "The shape stays"),
    },
)

ANSWERS = {
    "largest_hidden": LARGEST_HIDDEN,
    "competing_masks": COMPETING_MASKS,
    "global_log_magnitude": GLOBAL,
    "frame_by_frame": FRAME_BY_FRAME,
    "refined_masks": REFINED,
}
