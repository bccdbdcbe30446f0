"""Chimera: each head equals the net of its own chapter, and the losses are added correctly."""

import json
from copy import deepcopy

import pytest
import torch
from torch.nn import functional

from common.checks import ch13
from common.data import NO_AUGMENT, Excerpts, embedded_tracks
from common.experiments import chimera as experiment
from common.experiments.resumable import RESULTS
from common.models.chimera import (
    Chimera,
    ChimeraOutput,
    EmbeddingBranch,
    MaskBranch,
)
from common.models.deep_clustering import DeepClustering
from common.models.mask_inference import MaskInference
from common.recipes import RECIPES, recipe
from common.separation import MaskSeparator, separate
from common.separation.clustering import ClusteringSeparator
from common.signal.stft import STFT
from common.songs.dataset import GENERATOR_VERSION
from common.training import TrainConfig, fit
from common.training.losses import affinity_loss, whitened_kmeans_loss
from common.training.objectives import (
    ChimeraObjective,
    ClusteringObjective,
    PhaseSensitiveObjective,
)

SMALL = {"n_bins": 33, "hidden_size": 5, "n_layers": 2}
TINY_STFT = STFT(64, 16)


@pytest.fixture
def net() -> Chimera:
    torch.manual_seed(0)
    return Chimera(**SMALL, n_dimensions=6).eval()


@pytest.fixture
def sounds() -> tuple[torch.Tensor, torch.Tensor]:
    sources = 0.3 * torch.randn(2, 4, 1, 1600, generator=torch.Generator().manual_seed(1))
    return sources.sum(dim=1), sources


def test_shapes_and_ranges(net):
    magnitude = torch.rand(2, 3, 33, 7)
    answer = net(magnitude)
    assert isinstance(answer, ChimeraOutput)
    assert answer.embeddings.shape == (2, 3, 33, 7, 6)
    assert answer.masks.shape == (2, 4, 3, 33, 7)
    assert 0 <= answer.masks.min() and answer.masks.max() <= 1
    torch.testing.assert_close(answer.embeddings.norm(dim=-1), torch.ones(2, 3, 33, 7))


@pytest.mark.parametrize(("head", "other"), [("masks", "embeddings"), ("embeddings", "masks")])
def test_a_chimera_that_lost_a_head_is_an_earlier_net(net, head, other):
    alone = {
        "masks": MaskInference(**SMALL),
        "embeddings": DeepClustering(**SMALL, n_dimensions=6),
    }[head].eval()
    kept = {k: v for k, v in net.state_dict().items() if not k.startswith(other)}
    if head == "masks":
        del kept["centroids"]
    renamed = {k.replace(f"{head}.", "head.", 1): v for k, v in kept.items()}
    alone.load_state_dict(renamed)
    magnitude = torch.rand(2, 2, 33, 9)
    branch = {"masks": MaskBranch, "embeddings": EmbeddingBranch}[head](net)
    torch.testing.assert_close(branch(magnitude), alone(magnitude))


def test_channels_do_not_know_of_each_other(net):
    magnitude = torch.rand(1, 2, 33, 9)
    both, alone = net(magnitude), net(magnitude[:, 1:])
    torch.testing.assert_close(both.masks[:, :, 1:], alone.masks)
    torch.testing.assert_close(both.embeddings[:, 1:], alone.embeddings)


@pytest.mark.parametrize("loss", [affinity_loss, whitened_kmeans_loss])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_objective_is_the_weighted_sum_of_the_two_old_ones(net, sounds, loss, weight):
    embeddings = ClusteringObjective(TINY_STFT, loss)(EmbeddingBranch(net), *sounds)
    masks = PhaseSensitiveObjective(TINY_STFT)(MaskBranch(net), *sounds)
    both = ChimeraObjective(TINY_STFT, weight, loss)(net, *sounds)
    torch.testing.assert_close(both, weight * embeddings + (1 - weight) * masks)


@pytest.mark.parametrize(("weight", "idle"), [(0.0, "embeddings"), (1.0, "masks")])
def test_at_an_end_of_the_scale_one_head_learns_nothing(net, sounds, weight, idle):
    ChimeraObjective(TINY_STFT, weight)(net, *sounds).backward()
    for name, parameter in net.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        assert moved != name.startswith(idle), name


def test_silence_is_no_trouble(net):
    sources = torch.zeros(1, 4, 1, 1600)
    loss = ChimeraObjective(TINY_STFT)(net, sources.sum(dim=1), sources)
    assert loss.isfinite()


def test_both_heads_learn(sounds):
    torch.manual_seed(0)
    net = Chimera(**SMALL, n_dimensions=6, dropout=0.0)
    pair = sounds[0][0], sounds[1][0]
    losses = {w: ChimeraObjective(TINY_STFT, w) for w in (0.0, 1.0)}
    before = {w: loss(net.eval(), *sounds).item() for w, loss in losses.items()}
    config = TrainConfig(steps=60, batch_size=1, learning_rate=1e-2)
    fit(net, ChimeraObjective(TINY_STFT), [pair] * 60, config)
    for weight, loss in losses.items():
        assert loss(net.cpu().eval(), *sounds).item() < 0.9 * before[weight]


@pytest.mark.parametrize("n_seconds", [0.5, 1.3])
def test_both_heads_separate(net, n_seconds):
    mixture = 0.1 * torch.randn(2, round(n_seconds * 22050))
    for branch, separator in ((MaskBranch, MaskSeparator), (EmbeddingBranch, ClusteringSeparator)):
        stems = separate(separator(branch(net), TINY_STFT).eval(), mixture, 22050)
        assert stems.shape == (4, *mixture.shape) and stems.isfinite().all()


def test_a_recipe_ends_with_centroids():
    made = recipe("chimera", "smoke")
    tracks = embedded_tracks("train", limit=1)
    torch.manual_seed(0)
    net = made.net().eval()
    made.finish(net, Excerpts(tracks, 1.0, 0, NO_AUGMENT, 1))
    lengths = net.centroids.norm(dim=-1)
    assert (lengths > 0.01).all() and (lengths <= 1).all()
    separator = made.separator(net)
    assert isinstance(separator, MaskSeparator)
    assert isinstance(separator.net, MaskBranch)


def test_the_paper_recipe_is_four_layers_of_six_hundred_with_two_heads():
    with torch.device("meta"):
        net = RECIPES["chimera"]["paper"].net()
    assert (net.stack.lstm.num_layers, net.stack.lstm.hidden_size) == (4, 600)
    assert net.embeddings.linear.weight.shape == (2049 * 20, 1200)
    assert net.masks.linear.weight.shape == (4 * 2049, 1200)


def test_it_is_nussls_chimera(net):
    from common.support.nussl_compat import nussl

    blocks = nussl.ml.networks.modules
    heads = {
        "embeddings": blocks.Embedding(1, 10, 33 * 6, ["unit_norm"], dim_to_embed=[-1]),
        "masks": blocks.Embedding(1, 10, 33 * 4, "sigmoid", dim_to_embed=[-1]),
    }
    for name, head in heads.items():
        head.linear.load_state_dict(getattr(net, name).linear.state_dict())
    magnitude = torch.rand(1, 1, 33, 9)
    level = net.log_magnitude(magnitude)
    features = net.stack(level[:, 0].mT)
    answer = net(magnitude)
    masks = heads["masks"](features).reshape(1, 9, 4, 33).permute(0, 2, 3, 1)
    torch.testing.assert_close(answer.masks[:, :, 0], masks)
    embeddings = heads["embeddings"].linear(features).reshape(1, 9, 33, 6).transpose(1, 2)
    torch.testing.assert_close(answer.embeddings[:, 0], functional.normalize(embeddings, dim=-1))


def test_the_sweep_is_whole_and_todays():
    found = json.loads((RESULTS / "chimera.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    assert found["about"]["steps"] == experiment.CONFIG.steps
    rows = sorted((r["songs"], r["loss"], r["weight"], r["seed"]) for r in found["rows"])
    wanted = [
        (songs, "affinity", weight, seed)
        for songs in experiment.SONGS
        for weight in experiment.WEIGHTS
        for seed in experiment.SEEDS
    ]
    wanted += [("many", "whitened", experiment.WHITENED, seed) for seed in experiment.SEEDS]
    assert rows == sorted(wanted)
    for row in found["rows"]:
        for head in ("masks", "embeddings"):
            assert {k: len(v["songs"]) for k, v in row["sdr"][head].items()} == {
                "train": experiment.SONGS["few"],
                "valid": 4,
                "test": 8,
            }


def test_the_sweep_shows_what_chapter_13_says():
    found = json.loads((RESULTS / "chimera.json").read_text(encoding="utf-8"))

    def sdr(songs: str, weight: float, where: str) -> torch.Tensor:
        rows = [
            row["sdr"]["masks"][where]["songs"]
            for row in found["rows"]
            if (row["songs"], row["weight"], row["loss"]) == (songs, weight, "affinity")
        ]
        return torch.tensor(rows)

    def gain(songs: str, weight: float, where: str) -> float:
        return (sdr(songs, weight, where) - sdr(songs, 0.0, where)).mean().item()

    assert gain("few", 0.975, "train") < -0.2, "the fit to the training songs falls"
    for songs in experiment.SONGS:
        for where in ("valid", "test"):
            assert all(abs(gain(songs, weight, where)) < 0.2 for weight in (0.5, 0.75, 0.9))
    more_songs = (sdr("many", 0.0, "test") - sdr("few", 0.0, "test")).mean().item()
    assert more_songs > 0.2
    assert all(gain("few", weight, "test") < more_songs / 4 for weight in (0.5, 0.75, 0.9, 0.975))


WRONG = {
    "balanced_weight": [
        lambda masks, embeddings: 0.5,
        lambda masks, embeddings: embeddings.norm() / (masks.norm() + embeddings.norm()),
        lambda masks, embeddings: masks.abs().sum() / (masks.abs().sum() + embeddings.abs().sum()),
        lambda masks, embeddings: masks.norm() / embeddings.norm(),
    ],
    "centroids_from_masks": [
        lambda v, m, w: m.mT @ v / m.sum(dim=0)[:, None],
        lambda v, m, w: (m * w[:, None]).mT @ v,
        lambda v, m, w: (m * w[:, None]).mT @ v / (m * w[:, None]).sum(dim=0)[:, None],
        lambda v, m, w: (m * w[:, None]).mT @ v / w.sum(),
        lambda v, m, w: functional.normalize((m * w[:, None]).mT @ v, dim=-1),
        lambda v, m, w: m.mul_(w[:, None]).mT @ v / m.sum(dim=0)[:, None].clamp(min=1e-9),
    ],
    "sign_flip_test": [
        lambda d: 0.05,
        lambda d: 2.0 ** -len(d),
        lambda d: 2.0 ** (1 - len(d)),
    ],
    "probe": [
        lambda net: net,
        lambda net: lambda x: ChimeraOutput(net(x).embeddings.detach(), net(x).masks),
        lambda net: lambda x: ChimeraOutput(*(part.detach() for part in net(x))),
        lambda net: lambda x: net(x).masks,
    ],
}


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name, answers in WRONG.items() for answer in answers]
)
def test_wrong_answers_get_a_hint(name, answer):
    verdict = getattr(ch13, name)(answer)
    assert not verdict.passed
    assert "raised" not in verdict.message


def test_a_copy_is_told_that_it_is_one():
    verdict = ch13.probe(deepcopy)
    assert not verdict.passed and "copies" in verdict.message
