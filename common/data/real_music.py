"""The real excerpt with stems that comes with `stempeg`."""

from __future__ import annotations

import numpy as np
import torch

from common.data.tracks import Track
from common.signal.resampling import resample


def real_excerpt(sample_rate: int = 44100) -> Track:
    """Six seconds of real music with stems: The Easton Ellises, "Falcon 69" (CC BY-NC-SA 3.0).

    It comes with `stempeg`. Its own mixture is mastered and is not the sum of its stems, so the
    mixture of this track is the sum. For listening and measuring, never for training.
    """
    import stempeg

    stems, rate = stempeg.read_stems(stempeg.example_stem_path())
    audio = torch.from_numpy(np.moveaxis(stems, -1, 1).astype(np.float32))
    sources = resample(audio[1:], round(rate), sample_rate)
    return Track("The Easton Ellises - Falcon 69", sources, sample_rate)
