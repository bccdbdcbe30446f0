"""The U-Net: its published size, shapes at any length, and what its skips are for."""

import pytest
import torch

from common.losses import MaskObjective
from common.models.unet import DecoderBlock, EncoderBlock, UNet
from common.stft import STFT


def magnitude(b=2, c=2, f=65, n=20):
    return torch.rand(b, c, f, n, generator=torch.Generator().manual_seed(0))


def small(**changes):
    torch.manual_seed(0)
    return UNet(channels=(4, 6, 8), **changes)


def test_one_source_has_the_published_number_of_weights():
    """Jansson et al. 2017: six levels of 16 to 512 patterns."""
    assert sum(x.numel() for x in UNet(n_sources=1).parameters()) == 9_823_313


def test_blocks_halve_and_double():
    x = torch.rand(2, 3, 16, 24)
    down = EncoderBlock(3, 5)(x)
    assert down.shape == (2, 5, 8, 12)
    assert DecoderBlock(5, 3, 0.5)(down).shape == (2, 3, 16, 24)


@pytest.mark.parametrize("size", [(64, 16), (65, 20), (70, 1), (9, 3)])
def test_masks_have_the_shape_and_range_of_masks_at_any_size(size):
    masks = small()(magnitude(f=size[0], n=size[1]))
    assert masks.shape == (2, 4, 2, *size)
    assert masks.min() >= 0 and masks.max() <= 1


def test_each_channel_is_separated_by_itself():
    net, x = small().eval(), magnitude()
    torch.testing.assert_close(net(x)[:, :, 1:], net(x[:, 1:]))


def test_padding_at_the_end_does_not_reach_far_back():
    """Frames that are all padding only matter within the net's field of view."""
    net, x = small().eval(), magnitude(n=200)
    torch.testing.assert_close(net(x)[..., :96], net(x[..., :193])[..., :96])


def test_silence_gives_finite_masks_and_gradients():
    net = small(power=0.3)
    sources = torch.zeros(2, 4, 1, 2048)
    sources[0] = torch.randn(4, 1, 2048, generator=torch.Generator().manual_seed(1))
    MaskObjective(STFT(128, 32))(net, sources.sum(dim=1), sources).backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters() if weight.ndim > 1)


def test_skips_carry_what_the_bottom_has_lost():
    """With the deepest level silenced the masks still follow the input, bin by bin."""
    net = small().eval()
    torch.nn.init.zeros_(net.encoder[-1].conv.weight)
    one, other = magnitude(n=16), magnitude(n=16)
    other[..., 8:9] += 5.0
    changed = (net(one) - net(other)).abs().amax(dim=(0, 1, 2, 3))
    assert changed[8] > 10 * changed[0]
