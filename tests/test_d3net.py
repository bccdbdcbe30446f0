"""D3Net: its published size, what its blocks read, and shapes at any length."""

import json
from statistics import mean

import pytest
import torch

from common import checks
from common.experiments.d3net import SEEDS, VARIANTS
from common.experiments.resumable import RESULTS
from common.models.d3_blocks import D2Block, D3Block, NormConv
from common.models.d3_sizes import PUBLISHED, BandSize
from common.models.d3net import BandNet, D3Body, D3Net
from common.recipes import RECIPES
from common.signal.stft import STFT
from common.training.objectives import PhaseSensitiveObjective

LOW = BandSize(16, 4, (3, 4, 5, 4, 3), (2, 3, 2, 2, 2), (1, 2, 2, 1, 1))
HIGH = BandSize(48, 2, (2, 2, 2), (1, 1, 1), (1, 1, 1))
FULL = BandSize(64, 3, (2, 3, 4, 3, 2), (1, 2, 2, 2, 1), (1, 1, 2, 1, 1))


def size_of(module):
    return sum(weight.numel() for weight in module.parameters())


def small(n_bins=65, **changes):
    torch.manual_seed(0)
    settings = {"n_sources": 4, "n_channels": 1, "fold": 2, "growth": 4, "n_layers": 2}
    return D3Net(n_bins, bands=(LOW, HIGH), full=FULL, **settings | changes)


def magnitude(b=2, c=2, f=65, n=20):
    return torch.rand(b, c, f, n, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("source", "weights"),
    [("vocals", 2_967_407), ("other", 2_967_407), ("drums", 2_873_284), ("bass", 2_419_822)],
)
def test_published_configurations_have_their_number_of_weights(source, weights):
    """Counted from the layers that the authors' configurations describe, piece by piece."""
    bands, full = PUBLISHED[source]
    with torch.device("meta"):
        assert size_of(D3Net(2049, bands=bands, full=full)) == weights


def weights_by_hand(n_in, growth, n_layers, n_blocks):
    """Weights of one D3 block, without any module."""

    def layer(i, o):
        return 2 * i + 9 * i * o + o

    def d2(i, k):
        readers = range(n_layers, 0, -1)
        return sum(layer(k if j else i, k * r) for j, r in enumerate(readers))

    blocks = range(n_blocks, 0, -1)
    return sum(d2(growth if j else n_in, growth * r) for j, r in enumerate(blocks))


@pytest.mark.parametrize("size", [(8, 4, 3, 2), (32, 16, 5, 2), (6, 2, 1, 1), (5, 3, 2, 3)])
def test_a_block_has_as_many_weights_as_counted_by_hand(size):
    assert size_of(D3Block(*size)) == weights_by_hand(*size)


def test_the_paper_recipe_is_the_published_nets():
    with torch.device("meta"):
        nets = RECIPES["d3net"]["paper"].net().nets
    assert {source: size_of(net) for source, net in nets.items()} == {
        "drums": 2_873_284,
        "bass": 2_419_822,
        "other": 2_967_407,
        "vocals": 2_967_407,
    }
    made = RECIPES["d3net"]["paper"]
    assert (made.sample_rate, made.n_channels, made.objective.stft) == (44100, 2, STFT(4096, 1024))


def test_the_zoo_recipe_stays_small():
    with torch.device("meta"):
        assert size_of(RECIPES["d3net"]["zoo"].net()) <= 1_500_000


def shares(block, x):
    """A D2 block reader by reader: every layer sums what it reads, each at its own dilation."""
    found, growth, n_layers = [x], block.growth, len(block.layers)
    for reader in range(n_layers):
        total = 0
        for j, (source, layer) in enumerate(zip(found, block.layers[: reader + 1], strict=True)):
            mine = slice((reader - j) * growth, (reader - j + 1) * growth)
            y = layer.norm(source).relu()
            weight, bias = layer.conv.weight[mine], layer.conv.bias[mine]
            reach = {"padding": 2**j, "dilation": 2**j}
            total = total + torch.nn.functional.conv2d(y, weight, bias, **reach)
        found.append(total)
    return found[-1]


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_serving_all_readers_at_once_is_the_same_sum(n_layers):
    torch.manual_seed(0)
    block = D2Block(5, 3, n_layers).eval()
    x = torch.randn(2, 5, 20, 24)
    torch.testing.assert_close(block(x), shares(block, x), atol=1e-5, rtol=1e-5)


def seen_by_the_middle(module, n=101):
    """Width of what the middle of the output depends on."""
    torch.manual_seed(0)
    x = torch.randn(1, 4, n, 8, requires_grad=True)
    module.eval()(x)[:, :, n // 2].sum().backward()
    moved = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    return (moved.max() - moved.min() + 1).item()


def test_a_block_sees_as_far_as_its_dilations_add_up():
    assert seen_by_the_middle(D2Block(4, 3, 4)) == 1 + 2 * (1 + 2 + 4 + 8)
    assert seen_by_the_middle(D3Block(4, 3, 3, 2)) == 1 + 2 * 2 * (1 + 2 + 4)


def test_dilations_double():
    block = D2Block(4, 3, 4)
    assert [layer.conv.dilation for layer in block.layers] == [(1, 1), (2, 2), (4, 4), (8, 8)]


def test_bands_and_body_keep_the_size_of_the_picture():
    assert BandNet(LOW, 2)(torch.rand(2, 2, 16, 8)).shape == (2, 3, 16, 8)
    body = D3Body(2, (LOW, HIGH), FULL, growth=4, n_layers=2)
    assert body(torch.rand(2, 2, 64, 8)).shape == (2, 4, 64, 8)
    assert body.unit == 4


def test_each_band_reads_its_own_bins_only():
    torch.manual_seed(0)
    body = D3Body(1, (LOW, HIGH), FULL, growth=4, n_layers=2).eval()
    heard = {}
    for name, band in zip(("low", "high"), body.bands, strict=True):
        band.register_forward_hook(lambda _, args, __, name=name: heard.update({name: args[0]}))
    x = torch.rand(1, 1, 64, 8)
    body(x)
    torch.testing.assert_close(heard["low"], x[:, :, :16])
    torch.testing.assert_close(heard["high"], x[:, :, 16:])


@pytest.mark.parametrize("n", [1, 7, 8, 20])
@pytest.mark.parametrize("fold", [1, 2])
def test_masks_have_the_right_shape_at_any_length(n, fold):
    masks = small(fold=fold)(magnitude(n=n))
    assert masks.shape == (2, 4, 2, 65, n)
    assert masks.min() >= 0


def test_above_the_highest_band_the_mixture_is_copied():
    masks = small()(magnitude())
    assert (masks[:, :, :, 64:] == 1).all()
    assert (masks[:, :, :, :64] != 1).any()


def test_a_net_of_one_channel_separates_each_by_itself():
    net, x = small().eval(), magnitude()
    torch.testing.assert_close(net(x)[:, :, 1:], net(x[:, 1:]))


def test_a_net_of_two_channels_looks_at_both():
    net, x = small(n_channels=2).eval(), magnitude()
    changed = x.clone()
    changed[:, 1] *= 3
    assert (net(x)[:, :, 0] - net(changed)[:, :, 0]).abs().max() > 1e-4


def test_folding_keeps_every_bin_in_its_place():
    """With a body that only hands on, bin by bin, what it was given."""
    net = small(n_channels=1, n_sources=1, fold=2, growth=4).eval()
    net.body.forward = lambda x: x
    with torch.no_grad():
        for conv in (net.gate.value, net.gate.gate):
            conv.weight.zero_()
            conv.bias.zero_()
        net.gate.value.weight[:, :, 0, 0] = torch.eye(4)
        net.output_mean.fill_(100.0)
        x = magnitude(b=1, c=1)
        seen = net.log_magnitude(x)[:, :, :64]
        torch.testing.assert_close(net(x)[0, :, :, :64], 100 + seen / 2, atol=1e-3, rtol=0)


def test_silence_gives_finite_masks_and_gradients():
    net = small()
    sources = torch.zeros(2, 4, 1, 2048)
    sources[0] = torch.randn(4, 1, 2048, generator=torch.Generator().manual_seed(1))
    PhaseSensitiveObjective(STFT(128, 32))(net, sources.sum(dim=1), sources).backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())


def test_one_excerpt_is_learned():
    torch.manual_seed(0)
    net, stft = small(), STFT(128, 32)
    sources = torch.randn(2, 4, 1, 2048)
    sources[:, 0] = sources[:, 0].cumsum(dim=-1) / 10  # one low source among noise
    objective = PhaseSensitiveObjective(stft)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = objective(net, sources.sum(dim=1), sources)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_layer_is_normalised_then_cut_then_convolved():
    torch.manual_seed(0)
    layer, x = NormConv(3, 4, dilation=2), torch.randn(2, 3, 9, 9)
    by_hand = torch.nn.functional.conv2d(
        torch.nn.functional.batch_norm(x, None, None, training=True).relu(),
        layer.conv.weight,
        layer.conv.bias,
        padding=2,
        dilation=2,
    )
    torch.testing.assert_close(layer(x), by_hand, atol=1e-4, rtol=1e-4)


def test_every_variant_was_measured_from_every_seed():
    rows = json.loads((RESULTS / "d3net.json").read_text(encoding="utf-8"))["rows"]
    measured = sorted((row["variant"], row["seed"]) for row in rows)
    assert measured == sorted((name, seed) for name in VARIANTS for seed in SEEDS)


def ahead_of(name, songs):
    """By how many dB the multi-dilated net is ahead of a variant, seed by seed."""
    rows = json.loads((RESULTS / "d3net.json").read_text(encoding="utf-8"))["rows"]
    level = {(row["variant"], row["seed"]): mean(list(row[songs]["sdr"].values())) for row in rows}
    return [level["multi-dilated", seed] - level[name, seed] for seed in SEEDS]


def test_the_sentences_on_the_variants_hold():
    assert min(ahead_of("one dilation per layer", "valid")) > 0
    assert min(ahead_of("one dilation per layer", "test")) < 0
    assert min(ahead_of("one net per source", "valid") + ahead_of("one net per source", "test")) > 0
    for songs in ("valid", "test"):
        undilated = ahead_of("undilated", songs)
        assert min(undilated) < 0 < max(undilated)
        assert max(map(abs, ahead_of("one band", songs))) < 0.3


def test_one_band_takes_more_products():
    def products(name):
        counts = []
        with torch.device("meta"):
            net = VARIANTS[name]()
            for layer in net.modules():
                if isinstance(layer, torch.nn.Conv2d):
                    layer.register_forward_hook(
                        lambda layer, _, y: counts.append(layer.weight.numel() * y[0, 0].numel())
                    )
            net(torch.empty(1, 1, 1025, 64))
        return sum(counts)

    assert products("one band") > 1.5 * products("multi-dilated")


@pytest.mark.parametrize("name", list(VARIANTS))
def test_variants_are_of_one_size_and_answer_alike(name):
    net, plain = VARIANTS[name](), VARIANTS["multi-dilated"]()
    assert net(torch.rand(1, 1, 1025, 16)).shape == (1, 4, 1, 1025, 16)
    assert abs(size_of(net) / size_of(plain) - 1) < 0.05


RIGHT = {
    "reach": [lambda ds, size=3: 1 + (size - 1) * sum(ds)],
    "holes": [
        lambda ds: [n for n in range(-sum(ds), sum(ds) + 1) if n not in offsets(ds)],
        lambda ds: set(range(-sum(ds), sum(ds))) - offsets(ds),
    ],
    "dense_weights": [
        lambda i, k, n: 9 * k * (i * n + k * n * (n - 1) // 2),
        lambda i, k, n: sum(9 * (k if j else i) * k * (n - j) for j in range(n)),
    ],
    "naive_dense": [lambda x, weights: dense(x, weights, lambda j: 2**j)],
}
WRONG = {
    "reach": [
        lambda ds, size=3: (size - 1) * sum(ds),
        lambda ds, size=3: 1 + size // 2 * sum(ds),
        lambda ds, size=3: 1 + 2 * sum(ds),
        lambda ds, size=3: 1 + (size - 1) * len(ds),
        lambda ds, size=3: 1 + (size - 1) * max(ds),
    ],
    "holes": [
        lambda ds: [],
        lambda ds: sorted(offsets(ds)),
        lambda ds: [n for n in range(0, sum(ds)) if n not in offsets(ds)],
        lambda ds: [n for n in range(-99, 99) if n not in offsets(ds)],
        lambda ds: [n for n in range(-max(ds), max(ds)) if n not in {-max(ds), 0, max(ds)}],
    ],
    "dense_weights": [
        lambda i, k, n: 9 * i * k * n,
        lambda i, k, n: k * (i * n + k * n * (n - 1) // 2),
        lambda i, k, n: 9 * k * (i * n + k * n * (n + 1) // 2),
        lambda i, k, n: 9 * k * (i * n + k * n * (n - 1)),
        lambda i, k, n: 9 * k * (i + k * (n - 1)),
        lambda i, k, n: sum((9 * (k if j else i) + 1) * k * (n - j) for j in range(n)),
    ],
    "naive_dense": [
        lambda x, weights: dense(x, weights, lambda j: 1),
        lambda x, weights: dense(x, weights, lambda j: j + 1),
        lambda x, weights: dense(x, weights, lambda j: 2 ** (j + 1)),
        lambda x, weights: dense(x, weights, lambda j: 2**j, newest_first=True),
        lambda x, weights: dense(x, weights, lambda j: 2**j, running=True),
        lambda x, weights: dense(x, weights, lambda j: 2**j)[..., 1:],
        lambda x, weights: dense(x.mul_(2), weights, lambda j: 2**j) / 2,
        lambda x, weights: dense(x, weights, lambda j: 2**j).relu(),
    ],
}


def offsets(dilations):
    found = {0}
    for d in dilations:
        found = {n + step for n in found for step in (-d, 0, d)}
    return found


def dense(x, weights, dilation, newest_first=False, running=False):
    for j, weight in enumerate(weights):
        d = dilation(j)
        y = torch.nn.functional.conv1d(x, weight, padding=d, dilation=d)
        x = torch.cat([y, x] if newest_first else [x, y], dim=1)
    return x if running else y


@pytest.mark.parametrize(("name", "answer"), [(n, f) for n, fs in RIGHT.items() for f in fs])
def test_checks_take_every_right_answer(name, answer):
    verdict = getattr(checks.ch17, name)(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(("name", "answer"), [(n, f) for n, fs in WRONG.items() for f in fs])
def test_checks_refuse_plausible_mistakes(name, answer):
    verdict = getattr(checks.ch17, name)(answer)
    assert not verdict.passed
    assert "raised" not in verdict.message, verdict.message
