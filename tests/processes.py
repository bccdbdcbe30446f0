"""Child processes for tests: independent, or connected as by `accelerate launch`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from multiprocessing import get_context

import torch

# A clean process that has imported the slow packages once and is forked for every child: no
# threads of this process are inherited, and each child starts in a fraction of a second. The
# first optimiser of a process imports torch._dynamo, which takes a second.
CHILDREN = get_context("forkserver")
CHILDREN.set_forkserver_preload(
    ["common.recipes", "common.training", "common.models.mask_inference", "torch._dynamo"]
)


def alone(target: Callable, *arguments: object) -> int:
    """Run `target(*arguments)` in a child process; its exit code."""
    return _wait([CHILDREN.Process(target=target, args=arguments)])[0]


def together(target: Callable, *arguments: object, n: int = 2) -> list[int]:
    """Run `target(rank, *arguments)` in `n` processes that train as one; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [(target, rank, n, port, arguments) for rank in range(n)]
    return _wait([CHILDREN.Process(target=_ranked, args=one) for one in given])


def _ranked(target: Callable, rank: int, n: int, port: int, arguments: tuple) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(n),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    target(rank, *arguments)


def _wait(processes: list) -> list[int]:
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode is not None, "a child process hangs"
    return [process.exitcode for process in processes]
