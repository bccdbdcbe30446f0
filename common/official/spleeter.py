"""The published weights of Spleeter: `2stems` and `4stems`, converted from TensorFlow's format.

They are at github.com/deezer/spleeter in the release v1.4.0, as `2stems.tar.gz` (79 MB) and
`4stems.tar.gz` (157 MB), under the MIT licence. Only TensorFlow reads its checkpoints: where it is
installed (`pip install tensorflow`), unpack an archive and convert it to a file that can be read
without TensorFlow:

    python -m common.official.spleeter 2stems 2stems.safetensors

`5stems` is not supported: its masks are normalised by a softmax, which no net here has.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from common.models.spleeter import RatioMasks, SpleeterNet
from common.models.unet import PerSource
from common.official.weights import read_weights
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.support.errors import UsageError
from common.support.files import check_place, write_tensors

SOURCES_OF = {2: ("vocals", "accompaniment"), 4: ("vocals", "drums", "bass", "other")}
"""The stems of the published models, in the order in which their layers are numbered."""

LAYER = re.compile(r"(conv2d|conv2d_transpose|batch_normalization)(_\d+)?/\w+")
"""What a weight of a net is called; a checkpoint also holds the optimiser's numbers."""

CONV = {"weight": "kernel", "bias": "bias"}
NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
"""Our name of a layer's tensor → the published one."""


def load(path: Path) -> MaskSeparator:
    """A separator from a file that `python -m common.official.spleeter` has written.

    It has the two or four stems of the file, which are silent above 11 kHz, as published.
    Raises UsageError for a file that does not fit.
    """
    masks = RatioMasks(nets(read_weights(path), path))
    sources = tuple(masks.net.nets)
    return MaskSeparator(masks, STFT(4096, 1024), sources, sample_rate=44100).eval()


def nets(weights: dict[str, Tensor], path: Path | str = "these weights") -> PerSource:
    """One net per stem from weights with published names and layouts.

    Raises UsageError, naming `path`, where names or shapes do not fit.
    """
    n_convolutions = sum(
        re.fullmatch(r"conv2d(_\d+)?/kernel", name) is not None for name in weights
    )
    n_stems, rest = divmod(n_convolutions, 7)
    if rest or n_stems not in SOURCES_OF:
        raise UsageError(
            f"{path} is not Spleeter's: two stems have 14 convolutions and four have 28, "
            f"this has {n_convolutions}"
        )
    found = {}
    for number, source in enumerate(SOURCES_OF[n_stems]):
        try:
            mapped = {ours: weights[theirs] for ours, theirs in names(number)}
            channels = [len(mapped[f"encoder.{i}.norm.weight"]) for i in range(6)]
            net = SpleeterNet(channels, elu=n_stems == 4)
            net.load_state_dict(net.state_dict() | {k: arranged(x) for k, x in mapped.items()})
        except (KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{path} does not fit Spleeter: {reason[:200]}") from error
        found[source] = net
    return PerSource(found)


def names(number: int) -> Iterator[tuple[str, str]]:
    """Our name and the published one of every tensor of stem `number`.

    TensorFlow counts layers of a kind through all stems: the second stem's first convolution is
    `conv2d_7`.
    """
    layers = {"head": ("conv2d", 7 * number + 6, CONV)}
    for level in range(6):
        layers[f"encoder.{level}.conv"] = ("conv2d", 7 * number + level, CONV)
        layers[f"decoder.{level}.conv"] = ("conv2d_transpose", 6 * number + level, CONV)
        layers[f"encoder.{level}.norm"] = ("batch_normalization", 12 * number + level, NORM)
        layers[f"decoder.{level}.norm"] = ("batch_normalization", 12 * number + 6 + level, NORM)
    for ours, (kind, count, tensors) in layers.items():
        theirs = f"{kind}_{count}" if count else kind
        for tensor, published in tensors.items():
            yield f"{ours}.{tensor}", f"{theirs}/{published}"


def arranged(x: Tensor) -> Tensor:
    """A kernel from TensorFlow's order (height, width, in, out) to PyTorch's (out, in, …).

    A transposed convolution's is (height, width, out, in) there and (in, out, …) here, which is
    the same permutation. Other tensors stay as they are.
    """
    return x.permute(3, 2, 0, 1).contiguous() if x.ndim == 4 else x


def read_checkpoint(folder: Path) -> dict[str, Tensor]:
    """The nets' weights in a folder with a TensorFlow checkpoint, under their published names.

    Raises UsageError where TensorFlow is missing or finds no checkpoint.
    """
    try:
        import tensorflow
    except ImportError as error:
        raise UsageError(
            "reading a TensorFlow checkpoint requires TensorFlow: pip install tensorflow"
        ) from error
    try:
        reader = tensorflow.train.load_checkpoint(str(folder))
    except (ValueError, RuntimeError, tensorflow.errors.OpError) as error:
        raise UsageError(f"{folder} holds no TensorFlow checkpoint") from error
    wanted = filter(LAYER.fullmatch, reader.get_variable_to_shape_map())
    return {name: torch.from_numpy(reader.get_tensor(name)) for name in wanted}


def convert(folder: Path, out: Path) -> None:
    """Write the nets' weights in a folder with a TensorFlow checkpoint as safetensors.

    Raises UsageError as `read_checkpoint` does, and for weights that `load` would refuse.
    """
    weights = read_checkpoint(folder)
    nets(weights, folder)
    write_tensors(out, weights, {"from": "deezer/spleeter, MIT licence"})


def convert_archive(archive: Path, out: Path) -> None:
    """The same from a `2stems.tar.gz` or `4stems.tar.gz` as it was downloaded."""
    with tarfile.open(archive) as packed, TemporaryDirectory() as folder:
        packed.extractall(folder, filter="data")
        convert(Path(folder), out)


def main(arguments: list[str] | None = None) -> int:
    """Convert a checkpoint; returns the exit code."""
    parser = argparse.ArgumentParser("python -m common.official.spleeter", description=__doc__)
    parser.add_argument("folder", type=Path, help="an unpacked checkpoint, such as 2stems")
    parser.add_argument("out", type=Path, help="the file to write, ending in .safetensors")
    given = parser.parse_args(arguments)
    try:
        if given.out.suffix != ".safetensors":
            raise UsageError(f"{given.out} should end in .safetensors")
        check_place(given.out)
        convert(given.folder, given.out)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
