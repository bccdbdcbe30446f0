"""Deep clustering: both losses by their definitions, and the order of the stems in a track."""

from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from common.models.deep_clustering import DeepClustering, EmbeddingHead
from common.recipes import RECIPES
from common.separation import TwoStems, clustering, separate, separate_file
from common.separation.clustering import (
    ClusteringSeparator,
    all_points,
    class_centroids,
    cluster_masks,
    loud_points,
    store_centroids,
)
from common.signal.k_means import k_means
from common.signal.masks import bin_weights, owned_bins
from common.signal.stft import STFT
from common.training import losses
from common.training.losses import affinity_loss, whitened_kmeans_loss
from common.training.objectives import ClusteringObjective

LOSSES = {"affinity": affinity_loss, "whitened": whitened_kmeans_loss}
SMALL = STFT(64, 16)


def pairs(v, y, w):
    """The definition: the affinity of every pair of bins minus the true one, (b, i, i) numbers."""
    difference = v @ v.mT - y @ y.mT
    return (w[:, :, None] * w[:, None, :] * difference.square()).sum(dim=(1, 2))


def projections(v, y, w, epsilon=1e-4):
    """The definition: the part of V's column space outside Y's, as (b, i, i) projections."""
    v, y = (w.sqrt()[..., None] * x for x in (v, y))
    e_v, e_y = (epsilon * torch.eye(x.shape[-1], dtype=x.dtype) for x in (v, y))
    onto_v = v @ torch.linalg.inv(v.mT @ v + e_v) @ v.mT
    onto_y = y @ torch.linalg.inv(y.mT @ y + e_y) @ y.mT
    return v.shape[-1] - (onto_v * onto_y).sum(dim=(1, 2))


DIRECT = {"affinity": pairs, "whitened": projections}


def bins(n=30, d=5, s=4, seed=0):
    """Embeddings on a sphere, sources and weights of two excerpts, some of the bins silent."""
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    owner = torch.randint(s, (2, n), generator=generator)
    magnitude = torch.rand(2, n, generator=generator, dtype=torch.float64)
    magnitude[:, ::4] = 0.0
    y = nn.functional.one_hot(owner, s).double()
    return nn.functional.normalize(v, dim=-1), y, bin_weights(magnitude)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_equal_the_definition_over_all_pairs(name):
    v, y, w = bins()
    quick, direct = v.clone().requires_grad_(), v.clone().requires_grad_()
    values, wanted = LOSSES[name](quick, y, w), DIRECT[name](direct, y, w)
    torch.testing.assert_close(values, wanted)
    assert values.shape == (2,)
    values.sum().backward()
    wanted.sum().backward()
    torch.testing.assert_close(quick.grad, direct.grad)
    assert quick.grad.abs().max() > 1e-6


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_by_small_steps(name):
    v, y, w = bins(n=8, d=3)
    assert torch.autograd.gradcheck(partial(LOSSES[name], labels=y, weights=w), v.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_silent_bins_say_nothing_and_heard_ones_count_by_weight(name):
    v, y, w = bins()
    other, twice = v.clone().requires_grad_(), (x.repeat(1, 2, 1) for x in (v, y))
    with torch.no_grad():
        other[:, ::4] = -other[:, ::4].roll(1, dims=-1)
    value = LOSSES[name](other, y, w)
    torch.testing.assert_close(value, LOSSES[name](v, y, w))
    value.sum().backward()
    assert (other.grad[:, ::4] == 0).all() and other.grad[:, 1::4].abs().max() > 0
    # A bin counts as much as two bins of half its weight.
    torch.testing.assert_close(value, LOSSES[name](*twice, w.repeat(1, 2) / 2))
    uneven = w.clone()
    uneven[:, 1] *= 3
    assert (LOSSES[name](v, y, uneven / uneven.sum(dim=1, keepdim=True)) - value).abs().min() > 1e-4


@pytest.mark.parametrize("name", LOSSES)
def test_a_source_without_bins_and_an_excerpt_of_silence(name):
    v, y, w = bins(s=3)
    absent = torch.cat([y, torch.zeros(2, y.shape[1], 1).double()], dim=-1)
    torch.testing.assert_close(LOSSES[name](v, absent, w), LOSSES[name](v, y, w))
    v = v.clone().requires_grad_()
    silent = LOSSES[name](v, y, 0 * w)
    silent.sum().backward()
    assert (silent == (0 if name == "affinity" else 5)).all()
    assert (v.grad == 0).all()


def test_the_order_of_sources_and_a_turn_of_the_sphere_do_not_matter():
    v, y, w = bins()
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))
    for loss in LOSSES.values():
        torch.testing.assert_close(loss(v @ turn.double(), y[..., [2, 0, 3, 1]], w), loss(v, y, w))


def test_what_is_best_and_what_is_worst():
    _, y, w = bins(d=4)
    assert affinity_loss(y, y, w).abs().max() < 1e-12
    assert whitened_kmeans_loss(y, y, w).abs().max() < 0.05  # epsilon, over four dimensions
    # Five dimensions cannot be explained by four sources: at best one is left over.
    wide = nn.functional.pad(y, (0, 1))
    torch.testing.assert_close(
        whitened_kmeans_loss(wide, y, w), torch.ones(2).double(), atol=0.05, rtol=0
    )
    same = torch.ones_like(y) / 2
    by_pairs = 1 - (w[:, None] @ y).square().sum(dim=(1, 2))  # pairs of different sources
    torch.testing.assert_close(affinity_loss(same, y, w), by_pairs)


def test_whitening_does_not_mind_a_flat_cloud():
    v, y, w = bins(n=200)
    flat = v * torch.tensor([1.0, 0.5, 2.0, 0.7, 0.3], dtype=torch.float64)
    whitened = partial(whitened_kmeans_loss, epsilon=1e-12)
    torch.testing.assert_close(whitened(flat, y, w), whitened(v, y, w))
    assert (affinity_loss(flat, y, w) - affinity_loss(v, y, w)).abs().min() > 1e-2


def test_weights_are_shares_of_what_is_heard():
    magnitude = torch.tensor([[8.0, 2.0, 0.07, 0.0], [0.0, 0.0, 0.0, 0.0]])
    weights = bin_weights(magnitude)
    torch.testing.assert_close(weights, torch.tensor([[0.8, 0.2, 0, 0], [0.0, 0, 0, 0]]))
    assert bin_weights(magnitude, floor=-60.0)[0, 2] > 0
    torch.testing.assert_close(bin_weights(1e-3 * magnitude), weights)


def test_owners_are_flattened_as_the_embeddings_are():
    """Bin by bin, with a source that is loudest in one channel, bin and frame alone."""
    sources = 0.1 * torch.ones(2, 4, 2, 5, 3, dtype=torch.complex64)
    sources[:, 0] = 0.5
    sources[1, 2, 1, 4, 0] = 2j
    labels, weights = owned_bins(sources.sum(dim=1), sources)
    assert labels.shape == (4, 15, 4) and weights.shape == (4, 15)
    assert (labels.sum(dim=-1) == 1).all()
    spot = torch.zeros(2, 2, 5, 3, dtype=torch.bool)
    spot[1, 1, 4, 0] = True
    found = labels.argmax(dim=-1).reshape(2, 2, 5, 3)
    assert (found[spot] == 2).all() and (found[~spot] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(4))


def test_an_objective_is_zero_for_the_places_of_the_owners():
    sources = torch.randn(2, 4, 2, 640, generator=torch.Generator().manual_seed(1))
    objective = ClusteringObjective(SMALL)

    def owners(magnitude):
        labels, _ = owned_bins(magnitude, SMALL(sources))
        return labels.reshape(*magnitude.shape, 4)

    mixture = sources.sum(dim=1)
    assert objective(owners, mixture, sources) < 1e-6
    assert objective(lambda x: owners(x).roll(1, dims=-2), mixture, sources) > 0.1
    asked = ClusteringObjective(SMALL, whitened_kmeans_loss)(owners, mixture, sources)
    assert asked < 0.05


# --- the same losses in nussl


def nussl_loss(name):
    from common.support.nussl_compat import nussl

    return getattr(nussl.ml.train.loss, name)()


def test_nussl_takes_the_root_of_the_weights():
    v, y, w = bins()
    theirs = nussl_loss("DeepClusteringLoss")
    ours = affinity_loss(v, y, w).mean()
    torch.testing.assert_close(theirs(v, y, w.sqrt()), ours, atol=1e-6, rtol=1e-6)
    # It normalises, so their scale does not matter; given w itself, it squares them.
    torch.testing.assert_close(theirs(v, y, 7 * w.sqrt()), ours, atol=1e-6, rtol=1e-6)
    squared = w.square() / w.square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(
        theirs(v, y, 1e4 * w), affinity_loss(v, y, squared).mean(), atol=1e-6, rtol=1e-6
    )
    assert (theirs(v, y, 1e4 * w) - ours).abs() > 1e-3


def test_nussl_whitens_less_and_counts_the_sources_in():
    """It adds 1 where we add epsilon, and answers d + s − 2 tr for our d − tr."""
    v, y, w = bins()
    theirs = nussl_loss("WhitenedKMeansLoss")
    v, y, w = v.float(), y.float(), w.float()
    d, s = 5, 4
    many = 1e5  # its weights are not normalised: with large ones the added 1 hardly matters
    ours = 2 * whitened_kmeans_loss(v, y, w, epsilon=1 / many) - d + s
    torch.testing.assert_close(theirs(v, y, (many * w).sqrt()), ours.mean(), atol=1e-3, rtol=0)
    assert (theirs(v, y, w.sqrt()) - ours.mean()).abs() > 0.5


# --- k-means and masks


def test_masks_share_out_every_bin():
    centroids = torch.eye(4, 6)
    owner = torch.randint(4, (2, 2, 5, 3), generator=torch.Generator().manual_seed(0))
    places = centroids[owner]
    masks = cluster_masks(places, centroids, hardness=4.0)
    assert masks.shape == (2, 4, 2, 5, 3)
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 2, 5, 3))
    assert (masks.argmax(dim=1) == owner).all()
    torch.testing.assert_close(cluster_masks(places, centroids, 0.0), torch.full_like(masks, 0.25))
    assert cluster_masks(places, centroids, 100.0).amax(dim=1).min() > 0.999
    # At a squared distance of 2 from three others: by hand.
    wanted = 1 / (1 + 3 * np.exp(-2 * 4.0))
    torch.testing.assert_close(masks.amax(dim=1), torch.full((2, 2, 5, 3), float(wanted)))


def test_loud_points_are_few_the_same_and_stand_for_all():
    generator = torch.Generator().manual_seed(0)
    places = torch.randn(1, 2, 40, 30, 4, generator=generator)
    magnitude = torch.rand(1, 2, 40, 30, generator=generator) + 0.1
    magnitude[0, 0] = 1e-6
    points, weights = loud_points(places, magnitude, n_points=10_000)
    assert points.shape == (1200, 4)
    found = torch.cdist(points, places[0, 1].reshape(-1, 4)).argmin(dim=1)
    assert found.unique().numel() == 1200
    torch.testing.assert_close(weights, magnitude[0, 1].flatten()[found])
    fewer, scaled = loud_points(places, magnitude, n_points=300)
    assert torch.equal(fewer, points[:300])
    assert scaled.sum().item() == pytest.approx(weights.sum().item(), rel=0.1)
    assert torch.equal(fewer, loud_points(places, magnitude, n_points=300)[0])
    assert len(loud_points(places, 0 * magnitude, 300)[0]) == 0


def test_a_long_recording_is_thinned_evenly_and_the_same_in_every_run():
    segments = [(torch.full((50, 2), float(k)), torch.ones(50)) for k in range(100)]
    points, weights = all_points(iter(segments), 600)
    assert 300 <= len(points) <= 600
    counts = points[:, 0].long().bincount(minlength=100)
    assert counts.min() >= 3 and counts.max() - counts.min() <= 1
    shares = torch.zeros(100).index_add(0, points[:, 0].long(), weights)
    torch.testing.assert_close(shares, torch.full((100,), 50.0))
    assert torch.equal(points, all_points(iter(segments), 600)[0])
    few, plain = all_points(iter(segments[:12]), 600)
    assert torch.equal(few, torch.cat([x for x, _ in segments[:12]])) and (plain == 1).all()
    silent = all_points(iter([(torch.zeros(0, 2), torch.zeros(0))] * 3), 10)
    assert len(silent[0]) == len(silent[1]) == 0


# --- a net whose embeddings are known


class Bands(nn.Module):
    """Embeddings by frequency: four bands at four corners, rotated a little by the excerpt.

    `drift` moves all embeddings in proportion to the level of the first bin.
    """

    def __init__(self, drift=0.0):
        super().__init__()
        self.drift = drift
        self.register_buffer("centroids", torch.eye(4))

    def forward(self, magnitude):
        band = torch.arange(magnitude.shape[-2]) * 4 // magnitude.shape[-2]
        places = torch.eye(4)[band][:, None].expand(*magnitude.shape, 4)
        return places + self.drift * magnitude.mean(dim=(1, 2, 3), keepdim=True)[..., None]


RATE = 8000


def bands(seconds=1.0, n_channels=2):
    """Four sources in four bands, (s, c, t), and a separator that can distinguish them."""
    t = torch.arange(round(seconds * RATE)) / RATE
    tones = [torch.sin(2 * torch.pi * f * t + i) for i, f in enumerate((500, 1500, 2500, 3500))]
    pan = torch.linspace(0.3, 1.0, 8).reshape(4, 2, 1)[:, :n_channels]
    return 0.1 * torch.stack(tones)[:, None] * pan


def separator(net=None, segment=20.0, **more):
    settings = {"sources": tuple("abcd"), "sample_rate": RATE, "segment": segment, "hardness": 50.0}
    settings["pull"] = 0.0
    return ClusteringSeparator(net or Bands(), SMALL, **(settings | more)).eval()


def test_stems_come_out_in_the_order_of_the_centroids():
    sources = bands()
    stems = separate(separator(), sources.sum(dim=0), RATE)
    error = (stems - sources).square().mean(dim=(1, 2)) / sources.square().mean(dim=(1, 2))
    assert error.max() < 0.02
    net = Bands()
    net.centroids = net.centroids[[2, 0, 1, 3]]
    turned = separate(separator(net), sources.sum(dim=0), RATE)
    torch.testing.assert_close(turned, stems[[2, 0, 1, 3]])


def test_audio_files_of_a_batch_do_not_know_of_each_other():
    first, second = bands().sum(dim=0), 0.2 * bands().flip(0, 1).sum(dim=0)
    either = separator(Bands(drift=3.0), hardness=2.0)
    together = either(torch.stack([first, second]))
    torch.testing.assert_close(together[1:], either(second[None]))


def test_silence_gives_silence():
    stems = separate(separator(), torch.zeros(2, RATE), RATE)
    assert (stems == 0).all()


class Recorder(ClusteringSeparator):
    """Records the centroids with which every segment was separated."""

    seen = ()

    def forward(self, mixture):
        type(self).seen += (self.found,)
        return super().forward(mixture)


def recording():
    """Ten seconds that change: the first half lacks a source, the second is much softer."""
    sources = bands(10.0)
    half = sources.shape[-1] // 2
    sources[2, :, :half] = 0
    sources[..., half:] *= 0.1
    return sources


def test_one_clustering_serves_a_whole_recording(monkeypatch):
    monkeypatch.setattr(Recorder, "seen", ())
    settings = {"sources": tuple("abcd"), "sample_rate": RATE, "segment": 2.0, "pull": 0.0}
    heard = Recorder(Bands(drift=1.0), SMALL, **settings).eval()
    mixture = recording().sum(dim=0)
    stems = separate(heard, mixture, RATE)
    assert len(Recorder.seen) > 4
    assert all(torch.equal(found, Recorder.seen[0]) for found in Recorder.seen)
    assert heard.found is None, "a separator stores no state of a recording"
    # Separately, the segments would have found other centroids.
    alone = [heard.listen([x[None]]).found for x in mixture.split(2 * RATE, dim=-1)]
    assert max((found - Recorder.seen[0]).abs().max() for found in alone) > 1e-2
    torch.testing.assert_close(stems.sum(dim=0), mixture, atol=1e-5, rtol=0)


def test_what_listening_keeps_does_not_grow_with_the_recording(monkeypatch):
    counted = []

    def count(points, weights, start, pull):
        counted.append(len(points))
        return start

    monkeypatch.setattr(clustering, "k_means", count)
    monkeypatch.setattr(clustering, "N_POINTS", 200)
    monkeypatch.setattr(clustering, "MOST_POINTS", 2000)
    noise = torch.randn(1, 2, 640, generator=torch.Generator().manual_seed(0))
    for n_segments in (5, 10, 50, 100):
        separator().listen([noise] * n_segments)
    assert counted[:2] == [1000, 2000] and max(counted) <= 2000


def test_the_file_path_and_two_stems_listen_as_well(tmp_path):
    mixture = recording().sum(dim=0)
    path = tmp_path / "song.wav"
    soundfile.write(path, mixture.T.numpy(), RATE, subtype="FLOAT")
    heard = separator(Bands(drift=1.0), segment=2.0, hardness=4.0)
    stems = separate(heard, mixture, RATE)
    files = separate_file(heard, path, tmp_path / "out")
    read = torch.stack([torch.from_numpy(soundfile.read(files[name])[0].T) for name in "abcd"])
    read = read.float()
    torch.testing.assert_close(read, stems, atol=1e-6, rtol=0)
    two = separate(TwoStems(heard, "b"), mixture, RATE)
    torch.testing.assert_close(two[0], stems[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(two.sum(dim=0), mixture, atol=1e-6, rtol=0)


# --- the net


def test_embeddings_have_length_one_and_each_channel_its_own():
    torch.manual_seed(0)
    net = DeepClustering(n_bins=33, n_dimensions=6, hidden_size=5).eval()
    x = torch.rand(2, 2, 33, 12, generator=torch.Generator().manual_seed(0))
    places = net(x)
    assert places.shape == (2, 2, 33, 12, 6)
    torch.testing.assert_close(places.norm(dim=-1), torch.ones(2, 2, 33, 12))
    torch.testing.assert_close(net(x[:, 1:]), places[:, 1:])
    assert net(0 * x).isfinite().all()


def test_the_head_keeps_a_bins_numbers_together():
    head = EmbeddingHead(3, n_bins=4, n_dimensions=2)
    head.linear.weight.data.zero_()
    head.linear.bias.data = torch.arange(1.0, 9.0)
    places = head(torch.zeros(1, 5, 3))
    wanted = nn.functional.normalize(torch.arange(1.0, 9.0).reshape(4, 2), dim=-1)
    torch.testing.assert_close(places, wanted[None, :, None].expand(1, 4, 5, 2))


@pytest.mark.parametrize("name", LOSSES)
def test_training_pulls_owners_apart(name):
    torch.manual_seed(0)
    net = DeepClustering(n_bins=33, n_dimensions=6, hidden_size=8, n_layers=1)
    sources = bands()[None, :, :, :1600]
    objective = ClusteringObjective(SMALL, LOSSES[name])
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    seen = []
    for _ in range(30):
        loss = objective(net, sources.sum(dim=1), sources)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters())
    least = 0 if name == "affinity" else 2
    assert seen[-1] - least < 0.5 * (seen[0] - least)


def test_class_centroids_are_weighted_means_over_the_owners_bins():
    generator = torch.Generator().manual_seed(3)
    excerpts = [(x.sum(dim=0), x) for x in torch.randn(3, 4, 1, 640, generator=generator)]
    net = DeepClustering(n_bins=33, n_dimensions=6, hidden_size=5).eval()
    found = class_centroids(net, excerpts, SMALL, n_excerpts=2)
    sums, counts = torch.zeros(4, 6), torch.zeros(4)
    for mixture, sources in excerpts[:2]:
        spectra, x = SMALL(sources), SMALL(mixture)
        places, weights = net(x.abs()[None])[0, 0].detach(), bin_weights(x.abs().flatten()[None])
        for f in range(33):
            for n in range(x.shape[-1]):
                owner = spectra[:, 0, f, n].abs().argmax()
                weight = weights[0, f * x.shape[-1] + n]
                sums[owner] += weight * places[f, n]
                counts[owner] += weight
    torch.testing.assert_close(found, sums / counts[:, None], atol=1e-5, rtol=0)
    assert not found.requires_grad


def test_centroids_are_stored_and_no_training_touches_them():
    net = DeepClustering(n_bins=33, n_dimensions=6, hidden_size=5).eval()
    assert "centroids" in net.state_dict()
    assert "centroids" not in dict(net.named_parameters())
    x = torch.randn(4, 1, 640, generator=torch.Generator().manual_seed(3))
    store_centroids(net, [(x.sum(dim=0), x)] * 64, SMALL)
    assert net.centroids.norm(dim=-1).min() > 0 and net.centroids.norm(dim=-1).max() <= 1


@pytest.mark.parametrize("scale", ["smoke", "live", "zoo"])
def test_a_recipe_trains_stores_and_separates(scale):
    made = RECIPES["deep-clustering"][scale]
    assert made.objective.loss in (losses.affinity_loss, losses.whitened_kmeans_loss)
    net = made.net()
    made_of = sum(x.numel() for x in net.state_dict().values())
    assert scale != "zoo" or 2 * made_of < 3 * 1024**2, "a checkpoint has at most 3 MB"
    noise = torch.randn(4, 1, 22050, generator=torch.Generator().manual_seed(0))
    made.objective(net, noise.sum(dim=0)[None], noise[None]).backward()
    made.finish(net.eval(), [(noise.sum(dim=0), noise)] * 64)
    assert net.centroids.norm(dim=-1).min() > 0
    stems = separate(made.separator(net), noise[:2, 0], 22050)
    torch.testing.assert_close(stems.sum(dim=0), noise[:2, 0], atol=1e-4, rtol=0)


# --- the chapter's checks


def greedy_order(masks, truth):
    agreement, order = torch.einsum("kfn,sfn->sk", masks, truth), []
    for row in agreement:
        left = [k for k in range(len(row)) if k not in order]
        order.append(max(left, key=lambda k, row=row: row[k]))
    return order


def inverse_order(masks, truth):
    agreement = torch.einsum("kfn,sfn->ks", masks, truth)
    return agreement.argmax(dim=1).tolist()


def balanced(weights, labels, count=None):
    total = weights @ labels
    count = (total > 0).sum().clamp(min=1) if count is None else count
    return weights * (labels @ torch.where(total > 0, 1 / (count * total), 0.0))


def in_place(weights, labels):
    new = balanced(weights, labels)
    return weights.copy_(new)


def on_the_sphere(points, weights, centroids, n_iter, weigh=True, project=True, stay=True):
    for _ in range(n_iter):
        owned = nn.functional.one_hot((points @ centroids.mT).argmax(dim=-1), len(centroids))
        sums = (owned * weights[:, None] if weigh else owned.float()).mT @ points
        length = sums.norm(dim=-1, keepdim=True) if project else sums.new_ones(len(sums), 1) * 40
        moved = sums / length
        centroids = torch.where(length > 0, moved, centroids) if stay else moved
    return centroids


def count(places, weights, least, shares=True, weigh=True):
    w = weights if weigh else torch.full_like(weights, 1 / len(weights))
    values = torch.linalg.eigvalsh((places * w[:, None]).mT @ places)
    return int((values > least * (values.sum() if shares else 1.0)).sum())


def count_beside_the_largest(places, weights, least):
    values = torch.linalg.eigvalsh((places * weights[:, None]).mT @ places)
    return int((values > least * values.max()).sum())


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("best_order", greedy_order),
        ("best_order", inverse_order),
        ("best_order", lambda masks, truth: list(range(len(truth)))),
        ("balanced_weights", lambda w, y: balanced(w, y, count=y.shape[-1])),
        ("balanced_weights", lambda w, y: w / (y @ (w @ y)) / 3),
        ("balanced_weights", in_place),
        ("balanced_weights", lambda w, y: w / w.sum().clamp(min=1e-12)),
        ("balanced_weights", lambda w, y: (y / y.sum(dim=0).clamp(min=1)).sum(dim=1) / 3),
        ("spherical_kmeans", partial(on_the_sphere, weigh=False)),
        ("spherical_kmeans", partial(on_the_sphere, project=False)),
        ("spherical_kmeans", partial(on_the_sphere, stay=False)),
        ("spherical_kmeans", k_means),
        ("count_sources", partial(count, shares=False)),
        ("count_sources", partial(count, weigh=False)),
        ("count_sources", count_beside_the_largest),
        ("count_sources", lambda v, w, least: torch.linalg.matrix_rank(v).item()),
    ],
)
def test_the_checks_refuse_plausible_mistakes(name, answer):
    from common.checks import ch12

    verdict = getattr(ch12, name)(answer)
    assert not verdict.passed
    assert "raised" not in verdict.message, verdict.message


def test_the_checks_accept_right_answers_of_another_make():
    from scipy.optimize import linear_sum_assignment

    from common.checks import ch12

    def hungarian(masks, truth):
        agreement = torch.einsum("kfn,sfn->sk", masks, truth)
        return torch.as_tensor(linear_sum_assignment(agreement, maximize=True)[1])

    def by_loop(weights, labels):
        new = weights.clone()
        owners = [s for s in range(labels.shape[1]) if (weights * labels[:, s]).sum() > 0]
        for s in owners:
            mine = labels[:, s] == 1
            new[mine] = weights[mine] / weights[mine].sum() / len(owners)
        return new

    def by_singular_values(places, weights, least):
        values = torch.linalg.svdvals(places * weights.sqrt()[:, None]).square()
        return (values > least * values.sum()).sum()

    assert ch12.best_order(hungarian).passed, ch12.best_order(hungarian).message
    assert ch12.balanced_weights(by_loop).passed, ch12.balanced_weights(by_loop).message
    assert ch12.spherical_kmeans(on_the_sphere).passed
    assert ch12.count_sources(by_singular_values).passed
