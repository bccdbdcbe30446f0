"""What do Spleeter's choices change in a short training? One change at a time, four seeds.

`python -m common.experiments.spleeter` rewrites book/results/spleeter.json row by row; an
interrupted run continues.
"""

from __future__ import annotations

import functools

from torch import Tensor, nn

from common import SOURCES
from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import Excerpts
from common.data.tracks import Track
from common.experiments.open_unmix import OneSided
from common.experiments.resumable import RESULTS, mean_sdr, run_rows
from common.experiments.trial import facts, trial
from common.models.spleeter import RatioMasks, SpleeterNet
from common.models.unet import PerSource
from common.recipes.recipe import BENCH_STFT
from common.separation.separators import MaskSeparator
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective

SIZE = {
    "channels": (6, 12, 16, 24, 32),
    "elu": True,
    "dropout": 0.0,
    "momentum": 0.1,
    "power": 0.3,
}
CHANGES: dict[str, dict[str, object]] = {
    "as it is": {},
    "masks trained apart": {},
    "one channel at a time": {"n_channels": 1},
    "leaky ReLU and ReLU": {"elu": False},
    "skips after activation": {},
    "raw magnitudes": {"power": 1.0},
    "momentum of TensorFlow": {"momentum": 0.01},
}
"""What is changed in the net; "masks trained apart" are normalised only after the training."""

CONFIG = TrainConfig(steps=120, batch_size=2, learning_rate=3e-3)
SECONDS = 1.45
SEEDS = [0, 1, 2, 3]
N_TRACKS = 4


class ActivatedSkip(nn.Module):
    """An encoder block whose skip connection carries the activation, not the convolution."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, activated = self.block(x)
        return activated, activated


def nets_with(change: str) -> nn.Module:
    """The untrained nets of one variant."""
    size = {**SIZE, **CHANGES[change]}
    nets = PerSource({source: SpleeterNet(**size) for source in SOURCES})
    if change == "skips after activation":
        for net in nets.nets.values():
            *blocks, deepest = net.encoder
            net.encoder = nn.ModuleList([*map(ActivatedSkip, blocks), deepest])
    return OneSided(nets) if change == "one channel at a time" else nets


@functools.cache
def songs(split: str) -> list[Track]:
    """The songs for training, for choosing or for reporting."""
    limit = None if split == "train" else N_TRACKS
    return embedded_tracks(split, limit=limit, songs=SONG_SETS["live"])


def measure(key: dict) -> dict:
    """Train one variant from one seed; mean SDR in dB, "valid" to choose by, "test" to report.

    For masks that were trained apart also the SDR without normalisation, as "alone".
    """
    change, apart = key["change"], key["change"] == "masks trained apart"

    def make() -> nn.Module:
        return nets_with(change) if apart else RatioMasks(nets_with(change))

    excerpts = Excerpts(songs("train"), SECONDS, key["seed"])
    done = trial(make, PhaseSensitiveObjective(BENCH_STFT), excerpts, CONFIG, key["seed"])
    shared = RatioMasks(done.net) if apart else done.net
    separator = MaskSeparator(shared, BENCH_STFT).eval()
    found = {split: mean_sdr(separator, songs(split)) for split in ("valid", "test")}
    if apart:
        found["alone"] = mean_sdr(MaskSeparator(done.net, BENCH_STFT).eval(), songs("test"))
    return {"sdr": found, "loss": done.last_loss, "seconds": round(done.core_seconds)}


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        tracks=N_TRACKS,
        net=SIZE,
        changes=CHANGES,
        config=CONFIG.facts(),
        seconds_per_excerpt=SECONDS,
    )
    keys = [{"change": change, "seed": seed} for seed in SEEDS for change in CHANGES]
    run_rows(RESULTS / "spleeter.json", about, keys, measure)


if __name__ == "__main__":
    main()
