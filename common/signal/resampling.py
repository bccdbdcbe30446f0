"""Sample rates and channels: bringing audio to what a net expects."""

from __future__ import annotations

import torch
from torch import Tensor

from common.support.errors import UsageError


def resample(audio: Tensor, old_rate: int, new_rate: int) -> Tensor:
    """Resample `(..., t)` from `old_rate` to `new_rate` Hz → `(..., ceil(t · new / old))`."""
    if old_rate == new_rate:
        return audio
    import soxr

    *leading, n_samples = audio.shape
    length = -(-n_samples * new_rate // old_rate)
    flat = audio.reshape(-1, n_samples).cpu().numpy()
    # One channel at a time: soxr interleaves channels, at most 8 of them at once in some builds.
    rows = [torch.from_numpy(soxr.resample(row, old_rate, new_rate)) for row in flat]
    rows = [torch.nn.functional.pad(row, (0, max(length - len(row), 0)))[:length] for row in rows]
    return torch.stack(rows).reshape(*leading, length).to(audio.device)


def match_channels(audio: Tensor, n_channels: int) -> Tensor:
    """Audio `(..., c, t)` with `n_channels` channels: copied from mono, or averaged to mono."""
    if audio.shape[-2] == n_channels:
        return audio
    if n_channels == 1:
        return audio.mean(dim=-2, keepdim=True)
    if audio.shape[-2] == 1:
        return audio.expand(*audio.shape[:-2], n_channels, -1)
    raise UsageError(f"cannot turn {audio.shape[-2]} channels into {n_channels}")
