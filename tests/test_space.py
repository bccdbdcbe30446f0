"""Spatial separation: each method at known positions, and in comparison with nussl."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from common import SAMPLE_RATE
from common.classical.duet import (
    CentreDuet,
    Duet,
    Peak,
    angular_frequencies,
    difference_histogram,
    differences,
    highest_peaks,
    residuals,
)
from common.classical.panning import (
    mid_side,
    pan_gains,
    panning_histogram,
    place,
    positions,
)
from common.classical.projet import (
    angle_grid,
    from_projections,
    project_channels,
    projection_gains,
    projet,
    unmix,
    update_panning,
    update_power,
)
from common.classical.spatial_clustering import (
    cluster_positions,
    k_means_plus_plus,
    points_on_sphere,
)
from common.classical.table import METHODS
from common.data.tracks import Track
from common.evaluation import evaluate_track, sdr
from common.evaluation.oracles import true_sources
from common.separation import separate
from common.signal.stft import STFT
from common.support.nussl_compat import nussl

SPATIAL = nussl.separation.spatial
STFT_512 = STFT(1024, 256)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bursts(seed, n_samples=3 * SAMPLE_RATE):
    """Notes of a few partials, higher with every seed: they rarely meet."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / SAMPLE_RATE
    sound = np.zeros(n_samples)
    for start in np.arange(0, t[-1], 0.3 + 0.05 * seed):
        pitch, since = 60 * 2.3**seed * rng.uniform(1, 1.3), t - start
        ringing = (since >= 0) * np.exp(-8 * since.clip(0)) * (1 - np.exp(-100 * since.clip(0)))
        for k in (1, 2, 3):
            sound += np.sin(2 * np.pi * k * pitch * t + rng.uniform(0, 6)) * ringing / k**2
    return torch.from_numpy(0.1 * sound / sound.std()).float()


def mixture_of(places, delays=(0.0, 0.0, 0.0)):
    """Three sounds at known positions: (s, 2, t), whose sum is the mixture."""
    return torch.stack(
        [place(bursts(i + 1), p, d) for i, (p, d) in enumerate(zip(places, delays, strict=True))]
    )


def best_sdr(true, estimates):
    """For each true source, the SDR of the estimate nearest to it."""
    pairs = [[sdr(t, e).item() for e in estimates] for t in true]
    return [max(row) for row in pairs]


# --- placing


@pytest.mark.parametrize("position", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_a_placed_sound_keeps_its_power_and_is_read_back(position):
    gains = pan_gains(position)
    assert abs(gains.square().sum() - 1) < 1e-6
    stereo = place(noise(8000), position)
    torch.testing.assert_close(stereo, gains[:, None] * noise(8000), atol=1e-5, rtol=0)
    spectrum = STFT_512(stereo)
    assert (positions(spectrum) - position).abs()[5:-5, 2:-3].max() < 2e-3
    heights = panning_histogram(spectrum, 81)
    assert abs(heights.sum() - 1) < 1e-5
    assert heights.argmax() == min(int((position + 1) / 2 * 81), 80)
    assert panning_histogram(torch.zeros_like(spectrum)).sum() == 0


def test_delays_are_samples_and_may_be_broken():
    sound = noise(4000)
    late = place(sound, 0.0, 3)
    torch.testing.assert_close(late[1, 3:], late[0, :-3], atol=1e-5, rtol=0)
    early = place(sound, 0.0, -2)
    torch.testing.assert_close(early[0, 2:], early[1, :-2], atol=1e-5, rtol=0)
    low = torch.sin(2 * math.pi * torch.arange(4000) / 50)
    half = place(low, 0.0, 2.5)[1, 200:-200]
    wanted = math.sqrt(0.5) * torch.sin(2 * math.pi * (torch.arange(4000) - 2.5) / 50)[200:-200]
    torch.testing.assert_close(half, wanted, atol=1e-2, rtol=0)
    mid, side = mid_side(late)
    torch.testing.assert_close(torch.stack([mid + side, mid - side]), late)


# --- DUET


def test_differences_are_those_that_were_put_in():
    spectrum = STFT_512(place(noise(20000), 0.4, 3.0))
    attenuation, delay = differences(spectrum)
    left, right = pan_gains(0.4)
    wanted = right / left - left / right
    unambiguous = slice(5, 150)  # below 1/6 of the rate three samples are less than half a period
    assert (attenuation[unambiguous].quantile(0.5) - wanted).abs() < 0.02
    assert (delay[unambiguous].quantile(0.5) - 3).abs() < 0.05
    assert (delay[300:].quantile(0.5) - 3).abs() > 0.5, "and above it they are ambiguous"
    assert differences(torch.zeros_like(spectrum))[1].isfinite().all()


@pytest.mark.parametrize(
    ("places", "delays"),
    [((-0.5, 0.0, 0.5), (0.0, 0.0, 0.0)), ((0.0, 0.0, 0.0), (-6.0, 0.0, 5.0))],
)
def test_duet_finds_places_and_nearly_reaches_the_ideal_mask(places, delays):
    true = mixture_of(places, delays)
    spectrum = STFT_512(true.sum(dim=0))
    method = Duet(3)
    found = method.peaks(spectrum)
    for position, delay in zip(places, delays, strict=True):
        left, right = pan_gains(position)
        wanted = right / left - left / right
        near = [
            p for p in found if abs(p.attenuation - wanted) < 0.2 and abs(p.delay - delay) < 0.5
        ]
        assert len(near) == 1
    masks = method(spectrum)
    torch.testing.assert_close(masks.sum(dim=0), torch.ones(spectrum.shape[1:]))
    estimates = STFT_512.inverse(masks[:, None] * spectrum, true.shape[-1])
    power = STFT_512(true).abs().square().sum(dim=1)
    ideal = (power == power.amax(dim=0)).float()[:, None] * spectrum
    ceiling = best_sdr(true, STFT_512.inverse(ideal, true.shape[-1]))
    assert min(best_sdr(true, estimates)) > 6
    for reached, best in zip(best_sdr(true, estimates), ceiling, strict=True):
        assert best - 4 < reached <= best + 0.3


def test_a_sound_from_a_place_fits_it_and_no_other():
    spectrum = STFT_512(place(noise(20000), 0.4, 3.0))
    left, right = pan_gains(0.4)
    here, elsewhere = Peak(float(right / left - left / right), 3.0), Peak(0.0, 0.0)
    assert abs(here.gain - right / left) < 1e-5
    energy = spectrum.abs().square().sum()
    missed = residuals(spectrum, [here, elsewhere]).sum(dim=(1, 2)) / energy
    assert missed[0] < 0.01 < 0.1 < missed[1]


def test_peaks_keep_their_distance_and_end():
    weights = torch.zeros(20, 20)
    weights[4, 5], weights[5, 6], weights[15, 10] = 5.0, 4.0, 3.0
    assert highest_peaks(weights, 2, min_distance=4, smooth=1) == [(4, 5), (15, 10)]
    assert highest_peaks(weights, 9, min_distance=4, smooth=1) == [(4, 5), (15, 10)]
    assert highest_peaks(0 * weights, 3, min_distance=4) == []
    lone = torch.zeros(20, 20)
    lone[4, 5], lone[15, 10] = 5.0, 3.0
    assert highest_peaks(lone, 9, min_distance=4) == [(4, 5), (15, 10)]


def test_nussls_duet_has_our_attenuation_and_map_but_divides_delays_by_two_pi():
    spectrum = STFT_512(mixture_of((-0.4, 0.0, 0.4), (-2.0, 0.0, 1.5)).sum(dim=0))
    left, right = spectrum.numpy()
    turns = angular_frequencies(len(left)).expand(left.shape).numpy() + 1e-9
    attenuation, delay = differences(spectrum)
    theirs = SPATIAL.Duet._compute_atn_delay(left, right, turns)
    heard = (spectrum.abs().amin(dim=0) > 1e-3).numpy()
    heard[0] = heard[-1] = False
    close = {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(theirs[0][heard], attenuation.numpy()[heard], **close)
    np.testing.assert_allclose(2 * np.pi * theirs[1][heard], delay.numpy()[heard], **close)

    reference = object.__new__(SPATIAL.Duet)
    reference.__dict__.update(
        stft_ch0=left, stft_ch1=right, frequency_matrix=turns, p=1, q=0,
        symmetric_atn=attenuation.numpy(), delay=delay.numpy(), attenuation_min=-3,
        attenuation_max=3, delay_min=-1, delay_max=1, num_attenuation_bins=61, num_delay_bins=61,
    )  # fmt: skip
    reference._make_histogram()
    # A delay of 1 sample is never ambiguous, so both count the same bins.
    ours = difference_histogram(spectrum, 3.0, 1.0, 61)
    theirs = torch.from_numpy(reference.attenuation_delay_histogram).float()
    moved = (ours / ours.sum() - theirs / theirs.sum()).abs().sum()
    assert moved < 0.01, "a few bins fall on an edge between two cells"


def test_nussls_duet_reads_late_sounds_as_a_sixth_as_late():
    late = mixture_of((0.0, 0.0, 0.0), (-6.0, 0.0, 5.0)).sum(dim=0)
    signal = nussl.AudioSignal(audio_data_array=late.numpy(), sample_rate=SAMPLE_RATE)
    method = SPATIAL.Duet(signal, 3, num_delay_bins=301, num_attenuation_bins=61)
    method.run()
    wanted = np.array([-6.0, 0.0, 5.0]) / (2 * np.pi)
    np.testing.assert_allclose(sorted(method.delay_peak), wanted, atol=0.1)


def nussls_masks(spectrum, peaks):
    """nussl's masks for positions without delay: (s, f, n)."""
    reference = object.__new__(SPATIAL.Duet)
    left, right = spectrum.numpy()
    reference.__dict__.update(
        stft_ch0=left, stft_ch1=right, frequency_matrix=np.zeros(left.shape), result_masks=[],
        delay_peak=[0] * len(peaks), atn_peak=[p.gain for p in peaks], num_sources=len(peaks),
        _mask_type=nussl.core.masks.BinaryMask,
    )  # fmt: skip
    return np.stack([mask.mask.squeeze() for mask in reference._compute_masks()])


def test_nussls_duet_agrees_on_two_places_and_lets_three_overlap():
    spectrum = STFT_512(mixture_of((-0.5, 0.0, 0.5)).sum(dim=0))
    heard = (spectrum.abs().sum(dim=0) > 1e-3).numpy()
    peaks = [Peak(-2.0, 0.0), Peak(0.0, 0.0), Peak(2.0, 0.0)]
    best = residuals(spectrum, peaks[:2]).argmin(dim=0).numpy()
    for i, mask in enumerate(nussls_masks(spectrum, peaks[:2])):
        assert (mask == (best == i))[heard].mean() > 0.999
    # A bin that a second peak takes from the first and loses to the third is in two masks of nussl.
    assert (nussls_masks(spectrum, peaks).sum(axis=0) > 1)[heard].any()


# --- PROJET


def test_projections_of_a_sound_have_their_gains_and_lead_back():
    angles, grid = angle_grid(6), angle_grid(24)
    assert abs(angles[0] - math.pi / 4) < 1e-6 and len(set(angles.tolist())) == 6
    spectrum = STFT_512(place(noise(8000), 0.5))
    projections = project_channels(spectrum, angles)
    at = torch.tensor([1.5 * math.pi / 4])
    wanted = projection_gains(angles, at)
    heard = spectrum.abs().square().sum(dim=0).sqrt()
    torch.testing.assert_close(projections.abs(), wanted[:, :, None] * heard, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        from_projections(projections, angles), spectrum, atol=1e-4, rtol=1e-4
    )
    power = torch.rand(3, spectrum[0].numel(), generator=torch.Generator().manual_seed(0))
    stems = unmix(spectrum, angles, projection_gains(angles, grid[:3]), power)
    torch.testing.assert_close(stems.sum(dim=0), spectrum, atol=1e-4, rtol=1e-4)


def test_every_step_of_projet_lowers_the_divergence():
    spectrum = STFT_512(mixture_of((-0.5, 0.0, 0.5)).sum(dim=0))[..., 20:80]
    angles, grid = angle_grid(6), angle_grid(24)
    projections, gains = (
        project_channels(spectrum, angles).abs().flatten(1) + 1e-6,
        projection_gains(angles, grid),
    )
    generator = torch.Generator().manual_seed(0)
    panning = torch.rand(24, 3, generator=generator) + 0.1
    power = torch.rand(3, projections.shape[1], generator=generator) + 0.1

    def divergence():
        model = (gains @ panning @ power).double()
        return (projections * (projections / model).log() - projections + model).sum().item()

    losses = [divergence()]
    for _ in range(15):
        power = update_power(projections, gains @ panning, power)
        losses.append(divergence())
        panning = update_panning(projections, gains, panning, power)
        losses.append(divergence())
    assert all(b <= a * (1 + 1e-5) for a, b in zip(losses, losses[1:], strict=False))
    assert losses[-1] < 0.2 * losses[0]


def test_projet_finds_positions_blindly():
    true = mixture_of((-0.5, 0.0, 0.5))
    spectrum = STFT_512(true.sum(dim=0))
    angles, grid = angle_grid(8), torch.linspace(0, math.pi / 2, 31)
    gains = projection_gains(angles, grid)
    panning = torch.rand(31, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    projections = project_channels(spectrum, angles).abs().flatten(1)
    found, power = projet(projections, gains, panning, n_iter=150)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(3), atol=1e-3, rtol=0)
    stands = sorted((grid[found.argmax(dim=0)] * 4 / math.pi - 1).tolist())
    np.testing.assert_allclose(stands, [-0.5, 0, 0.5], atol=0.11)
    stems = unmix(spectrum, angles, gains @ found, power)
    assert min(best_sdr(true, STFT_512.inverse(stems, true.shape[-1]))) > 6


def test_projets_steps_are_nussls():
    spectrum = STFT_512(mixture_of((-0.5, 0.0, 0.5)).sum(dim=0))[..., 20:50]
    _, n_bins, n_frames = spectrum.shape
    angles, grid = angle_grid(6), angle_grid(24)
    projections, gains = (
        project_channels(spectrum, angles).abs().double(),
        projection_gains(angles, grid).double(),
    )
    generator = torch.Generator().manual_seed(0)
    panning = torch.rand(24, 2, generator=generator).double() + 0.1
    power = torch.rand(2, n_bins * n_frames, generator=generator).double() + 0.1

    reference = object.__new__(SPATIAL.Projet)
    reference.__dict__.update(
        stft=np.zeros((n_bins, n_frames, 2)), beta=1, eps=1e-8,
        V=projections.transpose(0, 1)[:, :, None],  # (f, m, 1, n): one delay
        K=gains[None, :, None, :, None].expand(n_bins, -1, -1, -1, -1).clone(),
    )  # fmt: skip
    p = power.reshape(2, n_bins, n_frames).permute(1, 2, 0).clone()
    q = panning[:, None].clone()
    for _ in range(3):
        p, q = reference._update(p, q)
        power = update_power(projections.flatten(1), gains @ panning, power)
        panning = update_panning(projections.flatten(1), gains, panning, power)
    np.testing.assert_allclose(q[:, 0], panning, rtol=1e-3)
    ours = power.reshape(2, n_bins, n_frames).permute(1, 2, 0)
    # nussl adds 1e-8 above and below its fractions, which counts only in silence.
    heard = projections.sum(dim=0) > 1e-2
    np.testing.assert_allclose(p[heard], ours[heard], rtol=1e-2)


def test_nussls_projet_divides_by_the_power():
    spectrum = STFT_512(mixture_of((-0.5, 0.0, 0.5)).sum(dim=0))[..., 20:50]
    _, n_bins, n_frames = spectrum.shape
    angles, grid = angle_grid(6), angle_grid(24)
    gains = projection_gains(angles, grid)
    generator = torch.Generator().manual_seed(0)
    panning = torch.rand(24, 2, generator=generator) + 0.1
    power = torch.rand(2, n_bins, n_frames, generator=generator) + 0.1
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    reference = object.__new__(SPATIAL.Projet)
    reference.__dict__.update(
        stft=spectrum.permute(1, 2, 0).numpy(), num_iterations=0, eps=1e-8,
        K=gains[None, :, None, :, None].expand(n_bins, -1, -1, -1, -1).clone(),
        projection_set=directions[None, :, None].expand(n_bins, -1, -1, -1).numpy() + 0j,
        initialize_parameters=lambda: (power.permute(1, 2, 0), panning[:, None]),
    )  # fmt: skip
    reference.run()
    theirs = torch.from_numpy(reference.reconstructions).permute(3, 2, 0, 1)
    theirs = theirs.to(spectrum.dtype)
    given = (spectrum, angles, gains @ panning)
    upside_down = unmix(*given, 1 / power.flatten(1))
    torch.testing.assert_close(theirs, upside_down, atol=1e-3, rtol=1e-3)
    ours = unmix(*given, power.flatten(1))
    assert (theirs - ours).abs().max() > 0.1 * ours.abs().max()


# --- spatial clustering


def test_points_lie_on_a_sphere_and_say_place_and_phase():
    sound = noise(8000)
    there = points_on_sphere(STFT_512(place(sound, 0.0)))[:, 5:-5, 2:-3]
    torch.testing.assert_close(there.norm(dim=0), torch.ones(there.shape[1:]), atol=1e-4, rtol=0)
    torch.testing.assert_close(there[1], torch.ones(there.shape[1:]), atol=1e-4, rtol=0)
    right = points_on_sphere(STFT_512(torch.stack([0 * sound, sound])))[:, 50, 10]
    torch.testing.assert_close(right, torch.tensor([-1.0, 0.0, 0.0]), atol=1e-4, rtol=0)
    apart = points_on_sphere(STFT_512(torch.stack([sound, -sound])))[:, 50, 10]
    torch.testing.assert_close(apart, torch.tensor([0.0, -1.0, 0.0]), atol=1e-4, rtol=0)
    assert points_on_sphere(torch.zeros(2, 4, 3, dtype=torch.complex64)).abs().max() == 0


def test_k_means_starts_from_points_that_differ():
    points = noise(900, 3)
    start = k_means_plus_plus(points, torch.ones(900), 3)
    assert len(start.unique(dim=0)) == 3
    assert (torch.cdist(start, points).amin(dim=1) == 0).all()


def test_clusters_are_places():
    true = mixture_of((-0.5, 0.0, 0.5))
    spectrum = STFT_512(true.sum(dim=0))
    masks = cluster_positions(spectrum, 3)
    torch.testing.assert_close(masks.sum(dim=0), torch.ones(spectrum.shape[1:]))
    estimates = STFT_512.inverse(masks[:, None] * spectrum, true.shape[-1])
    assert min(best_sdr(true, estimates)) > 6
    energy = (masks * spectrum.abs().square().sum(dim=0)).sum(dim=(1, 2))
    assert energy[0] >= energy[1] >= energy[2]
    assert cluster_positions(torch.zeros(2, 5, 4, dtype=torch.complex64), 3).isfinite().all()


# --- as separators


@pytest.fixture(scope="module", params=["duet", "projet"])
def separator(request):
    return METHODS[request.param]()


def in_a_song(seconds=3):
    """Drums and bass and voice in the centre, the rest at one side: a track of four stems."""
    parts = [
        place(bursts(i, seconds * SAMPLE_RATE), p) for i, p in ((1, 0), (2, 0), (3, 0.7), (4, 0))
    ]
    return Track("made to order", torch.stack(parts), SAMPLE_RATE)


def test_the_centre_is_told_from_the_side(separator):
    track = in_a_song()
    row = evaluate_track(separator, track)
    assert tuple(row["sdr"]) == separator.sources == ("other", "no_other")
    true = true_sources(track, separator.sources)
    doing_nothing = [sdr(t, track.mixture).item() for t in true]
    for source, nothing in zip(separator.sources, doing_nothing, strict=True):
        assert row["sdr"][source] > nothing + 4


@pytest.mark.parametrize("n_samples", [1, 700, 30000])
@pytest.mark.parametrize("kind", ["noise", "silence", "left only", "out of phase"])
def test_stems_add_up_whatever_comes(separator, kind, n_samples):
    mixture = 0.1 * noise(1, 2, n_samples)
    if kind == "silence":
        mixture = 0 * mixture
    elif kind == "left only":
        mixture[:, 1] = 0
    elif kind == "out of phase":
        mixture[:, 1] = -mixture[:, 0]
    stems = separator(mixture)
    assert stems.shape == (1, 2, 2, n_samples) and stems.isfinite().all()
    torch.testing.assert_close(stems.sum(dim=1), mixture, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_in_mono_everything_is_in_the_centre(separator, n_channels):
    mono = bursts(1)[None].expand(n_channels, -1)
    other, rest = separate(separator, mono, SAMPLE_RATE)
    level = 10 * torch.log10(other.square().sum() / mono.square().sum())
    assert level < -20
    torch.testing.assert_close(other + rest, mono, atol=1e-4, rtol=0)


def test_what_is_out_of_phase_is_not_in_the_centre(separator):
    sound = bursts(1)
    other, _ = separator(torch.stack([sound, -sound])[None])[0]
    assert sdr(torch.stack([sound, -sound]), other) > 15


def test_duets_centre_follows_a_song_that_is_a_little_off_balance():
    stereo = place(bursts(1), 0.1)
    method = CentreDuet()
    (peak,) = method.duet.peaks(method.stft(stereo))
    left, right = pan_gains(0.1)
    assert abs(peak.gain - right / left) < 0.05
    _, rest = method(stereo[None])[0]
    assert sdr(stereo, rest) > 20
