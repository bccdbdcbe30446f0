"""Open-Unmix: one recurrent net per source, which looks at both channels at once.

Stöter et al. 2019.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class OpenUnmix(nn.Module):
    """Estimate a mask for one source.

    magnitude: (b, c, f, n), linear → mask: (b, 1, c, f, n), not negative and
    not bounded. The net sees the lowest `max_bin` bins and masks all `n_bins`.
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
        seen = magnitude[:, :, : len(self.input_mean)].transpose(2, 3)
        x = (seen + self.input_mean) * self.input_scale
        x = rearrange(x, "b c n f -> (n b) (c f)")
        x = torch.tanh(self.bn1(self.fc1(x)))
        x = rearrange(x, "(n b) d -> n b d", b=b)
        x = torch.cat([x, self.lstm(x)[0]], dim=-1)
        x = rearrange(x, "n b d -> (n b) d")
        x = functional.relu(self.bn2(self.fc2(x)))
        x = rearrange(self.bn3(self.fc3(x)), "(n b) (c f) -> b c n f", b=b, c=c)
        mask = functional.relu(x * self.output_scale + self.output_mean)
        return rearrange(mask, "b c n f -> b 1 c f n")
