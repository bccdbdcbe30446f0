"""How much faster `separate` is than the reference packages, at published sizes.

    pip install --target REFERENCES --no-deps openunmix==1.3.0
    python tests/benchmarks/bench_references.py REFERENCES [--seconds 60] [--repeats 5]

REFERENCES/pt-spleeter holds a copy of the repository dcyoung/pt-spleeter on GitHub.
Both sides have the same random weights and separate the same stereo noise on one thread, in turns.
Time is processor time, which other work on the machine disturbs least. Prints the medians, their
ratio, and how far our stems of a short excerpt are from the reference's, in dB relative to them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common.models.open_unmix import OpenUnmix  # noqa: E402
from common.models.spleeter import RatioMasks, SpleeterNet  # noqa: E402
from common.models.unet import PerSource  # noqa: E402
from common.separation import MaskSeparator, Separator, WienerSeparator, separate  # noqa: E402
from common.signal.stft import STFT  # noqa: E402

SAMPLE_RATE = 44100
COMPARED = 200 * 1024
"""How many samples of stems are compared: whole hops, in one block of the Wiener filter."""

FOUR = ("vocals", "drums", "bass", "other")
TWO = ("vocals", "accompaniment")

Reference = Callable[[Tensor], Tensor]
"""From a recording (c, t) to stems (s, c, t)."""


def shaken(net: torch.nn.Module) -> torch.nn.Module:
    """The net with running statistics that are not those of a new one."""
    for name, x in net.named_buffers():
        if "running" in name:
            x.uniform_(0.5, 1.5)
    return net.eval()


def open_unmix() -> tuple[Separator, Reference]:
    """Open-Unmix of four stems with one round of its Wiener filter, as published."""
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")  # asked for, and not used
    from openunmix.model import OpenUnmix as Theirs
    from openunmix.model import Separator as TheirSeparator

    nets = {name: shaken(Theirs(2049, 2, max_bin=1487)) for name in FOUR}
    reference = TheirSeparator(nets, niter=1, sample_rate=SAMPLE_RATE, nb_channels=2).eval()
    ours = PerSource({name: OpenUnmix() for name in FOUR})
    for name, net in nets.items():
        known = ours.nets[name].state_dict()
        ours.nets[name].load_state_dict(
            {key: x for key, x in net.state_dict().items() if key in known}
        )
    separator = WienerSeparator(
        ours, STFT(4096, 1024, pad_mode="reflect"), FOUR, sample_rate=SAMPLE_RATE
    ).eval()
    return separator, lambda mixture: reference(mixture[None])[0]


def spleeter() -> tuple[Separator, Reference]:
    """Spleeter of two stems, which is all that pt-spleeter has."""
    from splitter import Splitter as Theirs
    from torch.nn.functional import pad

    class Splitter(Theirs):
        """With an inverse transform that today's PyTorch takes."""

        def inverse_stft(self, stft: Tensor) -> Tensor:
            spectrum = torch.view_as_complex(stft)
            spectrum = pad(spectrum, (0, 0, 0, self.win_length // 2 + 1 - spectrum.shape[1]))
            return torch.istft(spectrum, self.win_length, self.hop_length, window=self.win)

    reference = shaken(Splitter(list(TWO)))
    ours = PerSource({name: SpleeterNet() for name in TWO})
    for name in TWO:
        # The same layers in the same order, but for the order of a block's own.
        ours.nets[name].load_state_dict(renamed(reference.stems[name].state_dict()))
    separator = MaskSeparator(
        RatioMasks(ours), STFT(4096, 1024), TWO, sample_rate=SAMPLE_RATE
    ).eval()
    return separator, lambda mixture: torch.stack([*reference.separate(mixture).values()])


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """pt-spleeter's names as ours."""
    changes = {"encoder_layers": "encoder", "decoder_layers": "decoder", "tconv": "conv"}
    changes |= {"bn": "norm", "up_final": "head"}
    return {".".join(changes.get(x, x) for x in name.split(".")): w for name, w in weights.items()}


def seconds(work: Callable[..., Tensor], *given: object) -> float:
    """How long the processor worked."""
    begin = time.process_time()
    work(*given)
    return time.process_time() - begin


def main() -> None:
    """Time both pairs in turns and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("references", type=Path, help="the folder of the packages")
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--repeats", type=int, default=5)
    given = arguments.parse_args()
    sys.path += [str(given.references), str(given.references / "pt-spleeter")]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    mixture = 0.1 * torch.randn(2, round(given.seconds * SAMPLE_RATE))
    print("model       reference s   ours s   ratio   difference dB")
    for make in (open_unmix, spleeter):
        separator, reference = make()
        ours, theirs = [], []
        for _ in range(given.repeats):
            with torch.inference_mode():
                theirs.append(seconds(reference, mixture))
            ours.append(seconds(separate, separator, mixture, SAMPLE_RATE))
        part = mixture[:, :COMPARED]
        with torch.inference_mode():
            wanted = reference(part)
        apart = decibels_apart(separator(part[None])[0], wanted)
        before, after = statistics.median(theirs), statistics.median(ours)
        times = f"{before:11.1f}  {after:7.1f}  {before / after:6.2f}"
        print(f"{make.__name__:10}  {times}  {apart:14.1f}")


def decibels_apart(stems: Tensor, wanted: Tensor) -> float:
    """The energy of the difference relative to `wanted`; the reference may be a little shorter."""
    error = stems[..., : wanted.shape[-1]] - wanted
    return float(10 * torch.log10(error.square().sum() / wanted.square().sum()))


if __name__ == "__main__":
    main()
