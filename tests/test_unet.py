"""The U-Net and its variants: published size, shapes at any length, and what each change does."""

import itertools
import json
import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from common.data import (
    SONG_SETS,
    Augment,
    Excerpts,
    embedded_tracks,
    real_excerpt,
)
from common.data.activity import active_frames, note_gate, with_gate
from common.evaluation.metrics import area_under_curve
from common.experiments import unet as experiment
from common.experiments.resumable import RESULTS
from common.models.unet import (
    DecoderBlock,
    EncoderBlock,
    Patchwise,
    PerSource,
    UNet,
    fold_channels,
    unfold_channels,
)
from common.models.unet_double import DoubleUNet
from common.models.unet_stereo import StereoUNet
from common.models.unet_variants import (
    ActivityOutput,
    ActivityUNet,
    BandWise,
    ConditionedUNet,
    NarrowSkipUNet,
    SharedMasks,
    SoftmaxUNet,
)
from common.signal.stft import STFT
from common.songs.dataset import GENERATOR_VERSION
from common.support.errors import UsageError
from common.training.objectives import ActivityObjective, MaskObjective, PhaseSensitiveObjective

CHANNELS = (4, 6, 8)


def magnitude(b=2, c=2, f=65, n=20):
    return torch.rand(b, c, f, n, generator=torch.Generator().manual_seed(0))


def small(**changes):
    torch.manual_seed(0)
    return UNet(channels=CHANNELS, **changes)


def size_of(net):
    return sum(weight.numel() for weight in net.parameters())


def seeded(net, *arguments, **changes):
    torch.manual_seed(0)
    return net(*arguments, channels=CHANNELS, **changes)


def two_bands():
    return BandWise([seeded(UNet), seeded(UNet)], [8])


VARIANTS = {
    "no skips": lambda: seeded(NarrowSkipUNet, 0.0),
    "narrow skips": lambda: seeded(NarrowSkipUNet, 0.5),
    "both channels": lambda: seeded(StereoUNet),
    "softmax": lambda: seeded(SoftmaxUNet),
    "ratio": lambda: SharedMasks(seeded(UNet)),
    "four nets": lambda: PerSource({name: seeded(UNet, 1) for name in "dbov"}),
    "conditioned": lambda: seeded(ConditionedUNet),
    "two bands": two_bands,
    "double": lambda: seeded(DoubleUNet),
    "patchwise": lambda: Patchwise(small(), n_frames=8, margin=2),
}


def test_one_source_has_the_published_number_of_weights():
    """Jansson et al. 2017: six levels of 16 to 512 feature maps."""
    assert size_of(UNet(n_sources=1)) == 9_823_313


def test_every_weight_of_the_published_net_is_where_the_paper_has_it():
    net = UNet(n_sources=1)
    assert [block.conv.out_channels for block in net.encoder] == [16, 32, 64, 128, 256, 512]
    assert [block.conv.in_channels for block in net.decoder] == [512, 512, 256, 128, 64]
    assert [block.dropout.p for block in net.decoder] == [0.5, 0.5, 0.5, 0.0, 0.0]
    assert net.head.in_channels == 32
    kernels = {layer.conv.kernel_size for layer in [*net.encoder, *net.decoder]}
    assert kernels | {net.head.kernel_size} == {(5, 5)}


def test_folding_and_unfolding():
    x = magnitude(f=21, n=10)
    folded = fold_channels(x, 8)
    assert folded.shape == (4, 1, 16, 16)
    back = unfold_channels(folded, x)[:, 0]
    torch.testing.assert_close(back[:, :, :16], x[:, :, :16])
    assert (back[:, :, 16:] == back[:, :, 15:16]).all()


def test_blocks_halve_and_double():
    x = torch.rand(2, 3, 16, 24)
    down = EncoderBlock(3, 5)(x)
    assert down.shape == (2, 5, 8, 12)
    assert DecoderBlock(5, 3, 0.5)(down).shape == (2, 3, 16, 24)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [(64, 16), (65, 20), (70, 1), (17, 3)])
def test_masks_of_variants_have_the_shape_and_range_of_masks(name, size):
    masks = VARIANTS[name]()(magnitude(f=size[0], n=size[1]))
    assert masks.shape == (2, 4, 2, *size)
    assert masks.min() >= 0 and masks.max() <= 1


@pytest.mark.parametrize("size", [(64, 16), (65, 20), (70, 1), (9, 3)])
def test_masks_have_the_shape_and_range_of_masks_at_any_size(size):
    masks = small()(magnitude(f=size[0], n=size[1]))
    assert masks.shape == (2, 4, 2, *size)
    assert masks.min() >= 0 and masks.max() <= 1


def test_each_channel_is_separated_by_itself():
    net, x = small().eval(), magnitude()
    torch.testing.assert_close(net(x)[:, :, 1:], net(x[:, 1:]))


def test_a_stereo_net_depends_on_both_channels():
    """One channel's masks depend on the other channel; for a single channel it is a U-Net."""
    net, x = seeded(StereoUNet).eval(), magnitude()
    apart = x.clone()
    apart[:, 1] *= 0.1
    assert (net(apart)[:, :, 0] - net(x)[:, :, 0]).abs().max() > 1e-3
    alone = seeded(StereoUNet, 1).eval()
    alone.load_state_dict(small().state_dict())
    torch.testing.assert_close(alone(x[:, :1]), small().eval()(x[:, :1]))


def test_padding_at_the_end_does_not_reach_far_back():
    """Frames that are all padding only matter within the net's receptive field."""
    net, x = small().eval(), magnitude(n=200)
    torch.testing.assert_close(net(x)[..., :96], net(x[..., :193])[..., :96])


def test_silence_gives_finite_masks_and_gradients():
    net = small(power=0.3)
    sources = torch.zeros(2, 4, 1, 2048)
    sources[0] = torch.randn(4, 1, 2048, generator=torch.Generator().manual_seed(1))
    MaskObjective(STFT(128, 32))(net, sources.sum(dim=1), sources).backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters() if weight.ndim > 1)


def test_skips_carry_what_the_bottleneck_has_lost():
    """With the deepest level silenced the masks still follow the input, bin by bin."""
    net = small().eval()
    torch.nn.init.zeros_(net.encoder[-1].conv.weight)
    one, other = magnitude(n=16), magnitude(n=16)
    other[..., 8:9] += 5.0
    changed = (net(one) - net(other)).abs().amax(dim=(0, 1, 2, 3))
    assert changed[8] > 10 * changed[0]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns_with_all_its_weights(name):
    net = VARIANTS[name]().train()
    sources = torch.randn(2, 4, 2, 2048, generator=torch.Generator().manual_seed(1))
    MaskObjective(STFT(128, 32))(net, sources.sum(dim=1), sources).backward()
    for key, weight in net.named_parameters():
        assert weight.grad.isfinite().all(), key
        # A bias before a batch normalisation is taken away again, so it has no gradient.
        assert weight.ndim == 1 or weight.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", ["softmax", "ratio"])
def test_masks_that_compete_add_up_to_one(name):
    total = VARIANTS[name]()(magnitude()).sum(dim=1)
    torch.testing.assert_close(total, torch.ones_like(total))
    free = small()(magnitude()).sum(dim=1)
    assert (free - 1).abs().max() > 0.1


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_masks_of_nothing_are_equal_shares(power):
    """In a silent mixture, and where every mask is zero."""
    nothing = SharedMasks(lambda x: torch.zeros(1, 4, *x.shape[1:]), power)
    torch.testing.assert_close(nothing(magnitude(b=1)), torch.full((1, 4, 2, 65, 20), 0.25))
    net = SharedMasks(small().eval(), power)
    torch.testing.assert_close(net(torch.zeros(1, 2, 65, 20)), torch.full((1, 4, 2, 65, 20), 0.25))


@torch.no_grad()
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_shared_masks_are_shares_of_powers_of_the_masks(power):
    net = small().eval()
    raised, shared = net(magnitude()) ** power, SharedMasks(net, power)(magnitude())
    loud = (magnitude() > 0.1)[:, None].expand_as(shared)
    torch.testing.assert_close(shared[loud], (raised / raised.sum(dim=1, keepdim=True))[loud])


def test_nets_side_by_side_do_not_see_each_other():
    nets = {name: seeded(UNet, 1) for name in ("bass", "vocals")}
    both, x = PerSource(nets).eval(), magnitude()
    torch.testing.assert_close(both(x)[:, 1:], nets["vocals"](x))


def test_narrow_skips_have_fewer_weights():
    """A feature map of a skip has 25 weights for each feature map that it leads to."""
    whole, cut = seeded(UNet), seeded(NarrowSkipUNet, 0.0)
    saved = 25 * (6 * 4 + 4 * 4)
    assert size_of(whole) - size_of(cut) == saved
    half = seeded(NarrowSkipUNet, 0.5)
    assert size_of(half) - size_of(cut) == saved / 2 + (4 + 1) * 2 + (6 + 1) * 3


def test_without_skips_all_passes_through_the_bottleneck():
    net = seeded(NarrowSkipUNet, 0.0).eval()
    torch.nn.init.zeros_(net.encoder[-1].conv.weight)
    masks = net(magnitude(n=16))
    torch.testing.assert_close(masks, net(magnitude(n=16) + 5.0))
    assert len(masks) == 2


def test_the_answer_of_a_conditioned_net_depends_on_the_condition():
    net, x = seeded(ConditionedUNet).eval(), magnitude()
    first, second = torch.eye(4)[:1].expand(2, -1), torch.eye(4)[1:2].expand(2, -1)
    torch.testing.assert_close(net.mask_of(first, x), net.mask_of(second, x))  # untrained
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        net.scales += torch.rand(net.scales.shape, generator=generator)
    drums, bass = net.mask_of(first, x), net.mask_of(second, x)
    assert drums.shape == (2, 1, 2, 65, 20)
    assert (drums - bass).abs().max() > 0.01
    all_four = net(x)
    torch.testing.assert_close(all_four[:, :1], drums)
    torch.testing.assert_close(all_four[:, 1:2], bass)
    mixed = net.mask_of(torch.cat([first[:1], second[:1]]), x)
    torch.testing.assert_close(mixed, torch.cat([drums[:1], bass[1:]]))


def test_a_table_of_conditions_costs_two_numbers_per_feature_map_and_source():
    assert size_of(seeded(ConditionedUNet)) == size_of(seeded(UNet, 1)) + 2 * 4 * sum(CHANNELS)


def test_bands_do_not_see_each_other():
    net, x = two_bands().eval(), magnitude()
    masks = net(x)
    x[:, :, 8:] += 1.0
    changed = (net(x) - masks).abs().amax(dim=(0, 1, 2, 4))
    assert (changed[:8] == 0).all() and (changed[8:] > 0).all()


def test_double_convolutions_have_the_size_of_their_layers():
    """With 64 to 512 feature maps it is the net of the teaching texts: 31 million weights."""
    levels = [1, *CHANNELS, 16]  # bottleneck: twice the last
    down = sum(9 * (i * o + o * o) + 4 * o for i, o in itertools.pairwise(levels))
    back = levels[:0:-1]
    up = sum(4 * i * o + o + 9 * (2 * o * o + o * o) + 4 * o for i, o in itertools.pairwise(back))
    assert size_of(seeded(DoubleUNet)) == down + up + 4 * (4 + 1)
    assert size_of(DoubleUNet(n_sources=1)) == 31_036_481


def test_double_convolutions_resize_only_where_a_side_was_odd(monkeypatch):
    sizes = []
    resize = torch.nn.functional.interpolate

    def counted(x, size):
        sizes.append(tuple(size))
        return resize(x, size)

    monkeypatch.setattr(torch.nn.functional, "interpolate", counted)
    net = seeded(DoubleUNet)
    net(magnitude(f=64, n=16))
    assert sizes == []
    net(magnitude(f=65, n=20))
    assert sizes == [(16, 5), (65, 20)]


@pytest.mark.parametrize("total", [1, 7, 16, 33])
def test_patches_without_context_are_masked_one_by_one(total):
    net, x = small().eval(), magnitude(n=total)
    masks = Patchwise(net, n_frames=16)(x)
    silence = torch.zeros(2, 2, 65, -total % 16)
    pieces = torch.cat([x, silence], dim=-1).split(16, dim=-1)
    torch.testing.assert_close(masks, torch.cat([net(p) for p in pieces], dim=-1)[..., :total])


def test_patches_with_context_lose_and_repeat_no_frame():
    x = magnitude(n=37)
    patchwise = Patchwise(lambda part: part.unsqueeze(1), n_frames=16, margin=5)
    torch.testing.assert_close(patchwise(x)[:, 0], x)


def test_patches_with_enough_context_agree_with_the_whole():
    """On its way down and up a three-level net sees fewer than 32 frames to either side."""
    net, x = small().eval(), magnitude(b=1, c=1, n=160)
    whole = net(x)[..., 48:112]
    seams = Patchwise(net, 16)(x)[..., 48:112]
    hidden = Patchwise(net, 96, 32)(x)[..., 48:112]
    assert (hidden - whole).abs().max() < 1e-5
    assert (seams - whole).abs().max() > 1e-3


def song():
    return embedded_tracks("valid", songs=SONG_SETS["smoke"])[0]


def test_the_gate_is_open_where_the_score_has_notes():
    track = song()
    gate = note_gate(track)
    assert gate.shape == (track.n_samples,)
    assert set(gate.unique().tolist()) == {0.0, 1.0}
    for start, end in track.notes["vocals"]:
        middle = round((start + end) / 2 * track.sample_rate)
        assert middle >= track.n_samples or gate[middle] == 1
    loud = track["vocals"].square().mean(dim=0)
    assert loud[gate == 1].mean() > 10 * loud[gate == 0].mean()


def test_tracks_without_a_score_have_no_gate():
    with pytest.raises(UsageError, match="no notes"):
        note_gate(real_excerpt(22050))


def test_the_gate_travels_with_its_stem_through_every_change():
    tracks = [with_gate(track) for track in embedded_tracks("train", songs=SONG_SETS["smoke"])]
    excerpts = Excerpts(tracks, 2.0, 0, Augment(remix=1.0), n_channels=2)
    plain = Excerpts(embedded_tracks("train", songs=SONG_SETS["smoke"]), 2.0, 0, Augment(remix=1.0))
    heard = []
    for index in range(8):
        mixture, sources = excerpts[index]
        torch.testing.assert_close(mixture[:1], plain[index][0][:1])
        assert (sources[:3, 1] == 0).all()
        gate = mixture[1] != 0
        assert torch.equal(gate, sources[3, 1] != 0)
        assert len(mixture[1][gate].unique()) <= 1
        loud = sources[3, 0].square()
        heard += [(loud[gate].sum().item(), loud[~gate].sum().item())]
    on, off = (sum(x) for x in zip(*heard, strict=True))
    assert on > 10 * off


def test_frames_of_the_gate_are_those_of_the_transform():
    stft = STFT(64, 16)
    for length in (160, 161, 175):
        gate = torch.zeros(2, length)
        gate[:, 32:64] = 0.5
        frames = active_frames(gate, stft)
        assert frames.shape == (2, stft(gate).shape[-1])
        assert frames[0].tolist()[:6] == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("n_frames", [1, 20, 24])
def test_activity_has_one_number_per_frame(n_frames):
    masks, activity = seeded(ActivityUNet)(magnitude(n=n_frames))
    assert masks.shape == (2, 4, 2, 65, n_frames)
    assert activity.shape == (2, n_frames)


def test_the_second_answer_leaves_the_masks_as_they_are():
    net, plain = seeded(ActivityUNet).eval(), small().eval()
    missing = net.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys == ["activity_head.weight", "activity_head.bias"]
    torch.testing.assert_close(net(magnitude()).masks, plain(magnitude()))


def test_the_objective_of_activity_uses_both_outputs():
    stft = STFT(128, 32)
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(2, 4, 1, 2048, generator=generator)
    gates = torch.zeros_like(sound)
    gates[:, 3, :, 512:1024] = -0.5
    sources = torch.cat([sound, gates], dim=2)
    mixture = sources.sum(dim=1)
    net = seeded(ActivityUNet)
    loss = ActivityObjective(stft)(net, mixture, sources)
    loss.backward()
    assert net.activity_head.weight.grad.abs().sum() > 0
    assert net.encoder[0].conv.weight.grad.abs().sum() > 0
    active = active_frames(mixture[:, 1], stft)
    masks = net(stft(mixture[:, :1]).abs()).masks.detach()

    def error(activity):
        answer = ActivityOutput(masks, activity)
        return ActivityObjective(stft)(lambda _: answer, mixture, sources)

    right, wrong = error(20 * (active - 0.5)), error(20 * (0.5 - active))
    masking = PhaseSensitiveObjective(stft)
    plain = masking(lambda _: masks, mixture[:, :1], sources[:, :, :1])
    torch.testing.assert_close(right, plain, atol=1e-3, rtol=0)
    assert wrong > right + 0.5


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    told = torch.randn(500, generator=generator).round(decimals=1)  # with ties
    active = (torch.rand(500, generator=generator) < torch.sigmoid(told)).float()
    assert area_under_curve(told, active) == pytest.approx(roc_auc_score(active, told))
    for same in (torch.zeros(500), torch.ones(500)):
        assert math.isnan(area_under_curve(told, same)), "there is no pair to compare"


def test_the_table_of_variants_is_whole_and_todays():
    found = json.loads((RESULTS / "unet.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    rows = sorted((row["variant"], row["seed"]) for row in found["rows"])
    assert rows == sorted(itertools.product(experiment.VARIANTS, experiment.SEEDS))
    sizes = {row["variant"]: row["parameters"] for row in found["rows"]}
    assert sizes == {name: size_of(net()) for name, net in experiment.VARIANTS.items()}


def test_the_table_of_variants_says_what_the_chapters_say():
    """The signs that chapter 14 and the page beside it read from it, with both seeds."""
    found = json.loads((RESULTS / "unet.json").read_text(encoding="utf-8"))["rows"]
    rows = {(row["variant"], row["seed"]): row for row in found}

    def mean(row, value="sdr"):
        return sum(row[value].values()) / len(row[value])

    def gains(variant, plain="U-Net"):
        return [mean(rows[variant, n]) - mean(rows[plain, n]) for n in experiment.SEEDS]

    def whole(variant):
        return [mean(rows[variant, n], "sdr_of_whole_songs") for n in experiment.SEEDS]

    def slower(variant):
        steps = [
            min(rows[name, n]["seconds_per_step"] for n in experiment.SEEDS)
            for name in (variant, "U-Net")
        ]
        return steps[0] / steps[1]

    assert min(gains("U-Net", "mask net of chapter 11")) > 0.5
    assert max(gains("no skips")) < -0.5
    assert max(gains("no skips", "mask net of chapter 11")) < 0
    assert min(gains("narrow skips")) > max(gains("no skips")) / 2
    for alike in ("softmax", "ratio", "two bands", "voice activity"):
        assert max(map(abs, gains(alike))) < 0.25
    pairs = zip(whole("U-Net"), whole("2 levels"), strict=True)
    assert all(deep < shallow for deep, shallow in pairs)
    pairs = zip(whole("2 levels"), experiment.SEEDS, strict=True)
    assert all(sdr > mean(rows["2 levels", n]) for sdr, n in pairs)
    assert max(gains("conditioned")) < -0.3 and slower("conditioned") > 2
    assert -0.3 < min(gains("four nets")) and max(gains("four nets")) < 0
    assert slower("four nets") > 1.5
    assert min(gains("double convolutions")) > 0.2 and slower("double convolutions") > 2
    for n in experiment.SEEDS:
        heard = rows["voice activity", n]["activity"]
        assert heard["auc_of_head"] < heard["auc_of_level"] + 0.02
