"""The blocks of D3Net: dense layers with several dilations at once.

Takahashi and Mitsufuji 2020, sections 2 and 3.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class NormConv(nn.Module):
    """Normalise, rectify, and convolve 3 × 3 values with a dilation.

    x: (b, i, f, n) → (b, o, f, n). The taps are `dilation` apart.
    """

    def __init__(self, n_in: int, n_out: int, dilation: int = 1):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_in)
        reach = {"padding": dilation, "dilation": dilation}
        self.conv = nn.Conv2d(n_in, n_out, kernel_size=3, **reach)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.relu(self.norm(x)))


class D2Block(nn.Module):
    """Layers that each read all before them, every one at its own dilation.

    x: (b, i, f, n) → (b, growth, f, n). All later layers read the input with
    dilation 1 and what layer j has found with dilation 2^j, so that a single
    convolution serves all its readers. Takahashi and Mitsufuji 2020.
    """

    def __init__(self, n_in: int, growth: int, n_layers: int):
        super().__init__()
        self.growth = growth
        self.layers = nn.ModuleList()
        for j in range(n_layers):
            n_out = growth * (n_layers - j)  # one share for each reader
            self.layers.append(NormConv(n_in, n_out, dilation=2**j))
            n_in = growth

    def forward(self, x: Tensor) -> Tensor:
        shares = self.layers[0](x)
        for layer in self.layers[1:]:
            x, shares = shares[:, : self.growth], shares[:, self.growth :]
            shares = shares + layer(x)
        return shares


class D3Block(nn.Module):
    """D2 blocks that each read all before them.

    x: (b, i, f, n) → (b, growth, f, n). The structure of `D2Block` once more,
    with blocks for layers. Takahashi and Mitsufuji 2020.
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
        shares = self.blocks[0](x)
        for block in self.blocks[1:]:
            x, shares = shares[:, : self.growth], shares[:, self.growth :]
            shares = shares + block(x)
        return shares
