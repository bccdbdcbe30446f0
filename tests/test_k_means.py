"""k-means compared with scikit-learn's; silence, empty clusters, and the pull of the start."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from common.signal.k_means import k_means


def cloud(n=300, d=4, k=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    middles = 3 * torch.randn(k, d, generator=generator)
    points = middles.repeat(n // k, 1) + torch.randn(n, d, generator=generator)
    start = middles + torch.randn(k, d, generator=generator)
    return points, torch.rand(n, generator=generator), start


@pytest.mark.parametrize("dimensions", [3, 20])
@pytest.mark.parametrize("n_iter", [1, 3, 50])
def test_k_means_is_scikit_learns(n_iter, dimensions):
    """On chapter 7's points, which have three dimensions, and on embeddings, which have more."""
    points, weights, start = cloud(d=dimensions)
    theirs = KMeans(3, init=start.numpy(), n_init=1, max_iter=n_iter, tol=0, algorithm="lloyd")
    theirs.fit(points.numpy(), sample_weight=weights.numpy())
    ours = k_means(points, weights, start, n_iter)
    np.testing.assert_allclose(ours, theirs.cluster_centers_, atol=1e-5)
    np.testing.assert_array_equal(torch.cdist(points, ours).argmin(dim=1), theirs.labels_)
    unweighted = k_means(points, torch.ones(300), start, n_iter)
    assert (unweighted - ours).abs().max() > 1e-3


def test_centroids_that_have_come_to_rest_are_not_moved_again(monkeypatch):
    calls, cdist = [], torch.cdist
    monkeypatch.setattr(torch, "cdist", lambda *given: calls.append(given) or cdist(*given))
    rested = k_means(*cloud(), n_iter=1000)
    assert 1 < len(calls) < 100
    assert torch.equal(k_means(*cloud()[:2], rested, n_iter=1), rested)


def test_a_lonely_centroid_and_silence_stay_where_they_are():
    points, weights, start = cloud()
    start = torch.cat([start, torch.full((1, 4), 99.0)])
    assert (k_means(points, weights, start)[3] == 99).all()
    assert (k_means(points, 0 * weights, start) == start).all()
    assert (k_means(points[:0], weights[:0], start) == start).all()
    assert (k_means(points, weights, start, n_iter=0) == start).all()


def test_the_pull_of_the_starting_points():
    """One step by hand; with a very strong pull the centroids hardly move."""
    points = torch.tensor([[1.0], [3.0], [10.0]])
    weights, start = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([[0.0], [8.0], [-50.0]])
    moved = k_means(points, weights, start, n_iter=1, pull=0.5)
    torch.testing.assert_close(moved, torch.tensor([[7 / 5], [(10 + 16) / 3], [-50.0]]))
    assert (k_means(points, weights, start, pull=1e6) - start).abs().max() < 1e-4
    assert torch.equal(k_means(points, 0 * weights, start, pull=0.5), start)
    # The level of a recording does not matter.
    louder = k_means(points, 7 * weights, start, pull=0.5)
    torch.testing.assert_close(louder, k_means(points, weights, start, pull=0.5))
