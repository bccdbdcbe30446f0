"""Separate music of any length, rate and channel count, in memory or from file to files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from common.separation.overlap_add import Plan, after_listening, stream
from common.separation.separators import Separator
from common.support.errors import UsageError


def separate(
    separator: Separator, mixture: Tensor, sample_rate: int, say: Callable[[str], None] = print
) -> Tensor:
    """Separate a recording of any length, rate and channel count.

    mixture: (c, t) → stems: (s, c, t), with exactly the input's channels and length.
    `say` receives a message if memory runs out. Raises UsageError for no samples and for NaN or
    infinite ones.
    """
    if mixture.shape[-1] == 0:
        raise UsageError("the recording holds no samples")
    blocks = list(finite(iter([mixture]), "the recording"))

    def attempt(segment: float, device: torch.device) -> Tensor:
        plan = Plan.make(segment, sample_rate, separator.sample_rate)
        ready = after_listening(separator, lambda: iter(blocks), plan, device)
        return torch.cat(list(stream(ready, iter(blocks), plan, device)), dim=-1)

    return with_enough_memory(separator, attempt, say)


def separate_file(
    separator: Separator, path: Path, out: Path, say: Callable[[str], None] = print
) -> dict[str, Path]:
    """Separate an audio file into `out/<file stem>/<source>.wav`; returns the paths by source.

    Rate, channels and length are the input's; samples are 32-bit floats, so that loud stems do
    not clip. Works in blocks: memory does not grow with length. The stems appear when all are
    complete. A truncated or damaged file is separated as far as it can be read, with a message to
    `say`. Raises UsageError for a file that cannot be read or holds NaN or infinite samples.
    """
    # Imported here, so that nets can be trained on machines that cannot read audio files.
    from common.signal.audio_files import StemWriter, check_stems, open_recording, stem_paths

    path, out = Path(path), Path(out)
    check_stems([path], separator.sources, out)
    paths = stem_paths(path, separator.sources, out)
    with open_recording(path, say) as recording:

        def attempt(segment: float, device: torch.device) -> dict[str, Path]:
            plan = Plan.make(segment, recording.sample_rate, separator.sample_rate)
            n_segments = max(-(-(recording.n_samples - plan.overlap) // plan.hop), 1)
            ready = after_listening(
                separator, lambda: finite(recording.blocks(), path), plan, device
            )
            with StemWriter(list(paths.values()), recording) as writer:
                pieces = stream(ready, finite(recording.blocks(), path), plan, device)
                for piece in tqdm(pieces, path.name, n_segments, unit="segment", leave=False):
                    writer.write(piece)
            return paths

        return with_enough_memory(separator, attempt, say)


def finite(blocks: Iterator[Tensor], name: str | Path) -> Iterator[Tensor]:
    """The same blocks; raises UsageError, which names the recording, at NaN or infinite samples."""
    for block in blocks:
        if not block.isfinite().all():
            raise UsageError(f"{name} holds NaN or infinite samples")
        yield block


def with_enough_memory(
    separator: Separator,
    attempt: Callable[[float, torch.device], object],
    say: Callable[[str], None],
):
    """Call `attempt(segment, device)`; on a full GPU halve the segment twice, then use the CPU."""
    device = device_of(separator)
    for segment in (separator.segment, separator.segment / 2, separator.segment / 4):
        try:
            return attempt(segment, device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Outside `except`, the error and the tensors that its traceback kept alive are released.
        say(f"segments of {segment:g} s do not fit into the memory of {device}: using shorter ones")
        torch.mps.empty_cache() if device.type == "mps" else torch.cuda.empty_cache()
    say("separating on the CPU instead")
    if isinstance(separator, nn.Module):
        separator.cpu()
    return attempt(separator.segment, torch.device("cpu"))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's memory is full, for which MPS has no error class of its own."""
    full = isinstance(error, torch.cuda.OutOfMemoryError)
    return full or str(error).startswith("MPS backend out of memory")


def device_of(separator: Separator) -> torch.device:
    """The device of the separator's weights; the CPU for one without weights."""
    weights = separator.parameters() if isinstance(separator, nn.Module) else ()
    return next((weight.device for weight in weights), torch.device("cpu"))
