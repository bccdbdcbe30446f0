"""Open-Unmix: one recurrent net per source, which reads both channels at once.

Stöter et al. 2019.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from common.signal.stft import STFT


class OpenUnmix(nn.Module):
    """Estimate a mask for one source.

    magnitude: (b, c, f, n), linear → mask: (b, 1, c, f, n), not negative and
    not bounded. It reads the lowest `max_bin` bins and masks all `n_bins`.
    Its parameters have the names of the published checkpoints, in which
    `input_mean` is negative and `input_scale` a reciprocal. Stöter et al. 2019.
    """

    def __init__(
        self,
        n_bins: int = 2049,
        max_bin: int = 1487,
        n_channels: int = 2,
        hidden_size: int = 512,
        n_layers: int = 3,
        dropout: float = 0.4,
    ):
        super().__init__()
        self.fc1 = nn.Linear(n_channels * max_bin, hidden_size, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size // 2,
            n_layers,
            bidirectional=True,
            dropout=dropout if n_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden_size)
        self.fc3 = nn.Linear(hidden_size, n_channels * n_bins, bias=False)
        self.bn3 = nn.BatchNorm1d(n_channels * n_bins)
        self.input_mean = nn.Parameter(torch.zeros(max_bin))
        self.input_scale = nn.Parameter(torch.ones(max_bin))
        self.output_mean = nn.Parameter(torch.ones(n_bins))
        self.output_scale = nn.Parameter(torch.ones(n_bins))

    def forward(self, magnitude: Tensor) -> Tensor:
        b, c = magnitude.shape[:2]
        cropped = magnitude[:, :, : len(self.input_mean)].transpose(2, 3)
        x = (cropped + self.input_mean) * self.input_scale
        x = rearrange(x, "b c n f -> (n b) (c f)")
        x = torch.tanh(self.bn1(self.fc1(x)))
        x = rearrange(x, "(n b) d -> n b d", b=b)
        x = torch.cat([x, self.lstm(x)[0]], dim=-1)
        x = rearrange(x, "n b d -> (n b) d")
        x = functional.relu(self.bn2(self.fc2(x)))
        x = rearrange(self.bn3(self.fc3(x)), "(n b) (c f) -> b c n f", b=b, c=c)
        mask = functional.relu(x * self.output_scale + self.output_mean)
        return rearrange(mask, "b c n f -> b 1 c f n")


def input_statistics(
    excerpts: Dataset,
    stft: STFT,
    n_excerpts: int = 256,
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the magnitude of mixtures, per bin.

    Returns both, each (f,), over the first `n_excerpts` excerpts, their
    channels and frames. A standard deviation is at least 1e-4 of the largest.
    """
    total = torch.zeros(2, stft.n_bins, dtype=torch.float64)
    for i in range(n_excerpts):
        x = stft(excerpts[i][0]).abs().double()
        total += torch.stack([x, x.square()]).mean(dim=(1, 3))
    mean, square = total / n_excerpts
    std = (square - mean.square()).clamp(min=0).sqrt()
    return mean.float(), std.clamp(min=1e-4 * float(std.max())).float()


@torch.no_grad()
def scale_input(net: nn.Module, excerpts: Dataset, stft: STFT) -> None:
    """Standardise the input of each Open-Unmix in a net before training.

    Stöter et al. 2019.
    """
    mean, std = input_statistics(excerpts, stft)
    for part in net.modules():
        if isinstance(part, OpenUnmix):
            max_bin = len(part.input_mean)
            part.input_mean.copy_(-mean[:max_bin])
            part.input_scale.copy_(1 / std[:max_bin])
