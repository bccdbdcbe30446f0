"""The mask-inference net: shapes, ranges, and nussl's own blocks with the same weights."""

import pytest
import torch

from common.models.mask_inference import (
    LogMagnitude,
    MagnitudeInference,
    MaskInference,
)
from common.signal.stft import STFT
from common.training.losses import l1
from common.training.objectives import MagnitudeObjective, MaskObjective


def magnitude(b=2, c=2, f=33, n=12):
    return torch.rand(b, c, f, n, generator=torch.Generator().manual_seed(0))


def small(kind=MaskInference, **changes):
    torch.manual_seed(0)
    return kind(n_bins=33, hidden_size=6, **changes)


def test_masks_have_the_shape_and_range_of_masks():
    masks = small()(magnitude())
    assert masks.shape == (2, 4, 2, 33, 12)
    assert masks.min() >= 0 and masks.max() <= 1


def test_each_channel_is_separated_by_itself():
    net = small().eval()
    x = magnitude()
    together, alone = net(x), net(x[:, 1:])
    torch.testing.assert_close(together[:, :, 1:], alone)


def test_magnitudes_are_not_negative_and_grow_past_one():
    net = small(MagnitudeInference)
    net.head.linear.bias.data.fill_(5.0)
    answer = net(magnitude())
    assert answer.min() >= 0 and answer.max() > 1


def test_log_magnitude_normalises_and_survives_silence():
    layer = LogMagnitude(33)
    tilted = magnitude(b=8) * torch.logspace(1, -2, 33)[:, None]
    out = layer(tilted)
    assert out.mean(dim=(0, 1, 3)).abs().max() < 1e-4
    assert (out.std(dim=(0, 1, 3)) - 1).abs().max() < 1e-2
    assert layer.eval()(torch.zeros(1, 1, 33, 2)).isfinite().all()


def test_objectives_are_zero_for_the_right_answer():
    stft = STFT(64, 16)
    sources = torch.randn(1, 4, 2, 640, generator=torch.Generator().manual_seed(1))
    mixture = sources.sum(dim=1)
    spectrum = stft(sources).abs()
    assert MagnitudeObjective(stft)(lambda x: spectrum, mixture, sources) == 0
    ratio = spectrum / stft(mixture).abs()[:, None]
    assert MaskObjective(stft)(lambda x: ratio, mixture, sources) < 1e-5
    assert l1(torch.zeros(3), torch.tensor([1.0, -2.0, 3.0])) == 2


@pytest.mark.parametrize("n_layers", [1, 3])
def test_gradients_reach_every_weight(n_layers):
    net = small(n_layers=n_layers)
    sources = torch.randn(2, 4, 1, 640, generator=torch.Generator().manual_seed(2))
    MaskObjective(STFT(64, 16))(net, sources.sum(dim=1), sources).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters())


def test_nussl_blocks_with_our_weights_give_our_masks():
    """The same net from nussl's amplitude, normalisation, recurrent and embedding blocks."""
    from common.support.nussl_compat import nussl

    blocks = nussl.ml.networks.modules
    net = small(n_layers=2).eval()
    net.log_magnitude.norm.running_mean.copy_(torch.linspace(20, -40, 33))
    net.log_magnitude.norm.running_var.copy_(torch.linspace(50, 120, 33))
    to_db, norm = blocks.AmplitudeToDB(), blocks.BatchNorm(num_features=33, feature_dim=2)
    stack = blocks.RecurrentStack(33, 6, 2, bidirectional=True, dropout=0.3).eval()
    head = blocks.Embedding(1, 12, 4 * 33, "sigmoid", dim_to_embed=[-1])
    norm.batch_norm.load_state_dict(net.log_magnitude.norm.state_dict())
    stack.rnn.load_state_dict(net.stack.lstm.state_dict())
    head.linear.load_state_dict(net.head.linear.state_dict())
    norm.eval()
    x = magnitude(b=1, c=1)
    theirs = x[:, 0].transpose(1, 2)[..., None]  # nussl: (batch, frame, frequency, channel)
    theirs = norm(to_db(theirs))
    theirs = head(stack(theirs[..., 0])).reshape(1, 12, 4, 33)
    ours = net(x)[:, :, 0]
    torch.testing.assert_close(ours, theirs.permute(0, 2, 3, 1), atol=1e-5, rtol=0)
