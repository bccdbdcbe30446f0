"""The blocks of D3Net: densely connected layers with multi-dilated convolutions.

Takahashi and Mitsufuji 2020, sections 2 and 3.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class NormConv(nn.Module):
    """Batch normalisation, ReLU, and a dilated 3 × 3 convolution.

    x: (b, i, f, n) → (b, o, f, n).
    """

    def __init__(self, n_in: int, n_out: int, dilation: int = 1):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_in)
        self.conv = nn.Conv2d(
            n_in, n_out, kernel_size=3, padding=dilation, dilation=dilation
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.relu(self.norm(x)))


class D2Block(nn.Module):
    """Densely connected layers with multi-dilated convolutions.

    x: (b, i, f, n) → (b, growth, f, n). Layers read the input with dilation 1
    and the output of layer j with dilation 2^j, so a single convolution of it
    computes its terms for all later layers. Takahashi and Mitsufuji 2020.
    """

    def __init__(self, n_in: int, growth: int, n_layers: int):
        super().__init__()
        self.growth = growth
        self.layers = nn.ModuleList()
        for j in range(n_layers):
            n_out = growth * (n_layers - j)  # for all later layers
            self.layers.append(NormConv(n_in, n_out, dilation=2**j))
            n_in = growth

    def forward(self, x: Tensor) -> Tensor:
        sums = self.layers[0](x)
        for layer in self.layers[1:]:
            x, sums = sums[:, : self.growth], sums[:, self.growth :]
            sums = sums + layer(x)
        return sums


class D3Block(nn.Module):
    """Densely connected D2 blocks.

    x: (b, i, f, n) → (b, growth, f, n). The structure of `D2Block`, with D2
    blocks in place of layers. Takahashi and Mitsufuji 2020.
    """

    def __init__(self, n_in: int, growth: int, n_layers: int, n_blocks: int):
        super().__init__()
        self.growth = growth
        self.blocks = nn.ModuleList()
        for j in range(n_blocks):
            n_out = growth * (n_blocks - j)
            self.blocks.append(D2Block(n_in, n_out, n_layers))
            n_in = growth

    def forward(self, x: Tensor) -> Tensor:
        sums = self.blocks[0](x)
        for block in self.blocks[1:]:
            x, sums = sums[:, : self.growth], sums[:, self.growth :]
            sums = sums + block(x)
        return sums
