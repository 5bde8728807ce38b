"""The device that a job computes on, and PyTorch's numerical settings."""

import logging
import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dualscale.runtime.lease import lease_gpu


def open_device(gpus: int, threads: int) -> torch.device:
    """Return the device of a job with this many GPUs; set threads, determinism and precision.

    Raises:
        RuntimeError: the job has a GPU, but PyTorch sees none.
        ValueError: the job has a GPU, but PyTorch is a CPU build.
    """
    torch.set_num_threads(threads)
    if not gpus:
        logging.info("computing on the CPU: this job was given no GPU")
        use_fast_products()
        # Damped features and their second moments fall below 1e-38, where many CPUs are slow.
        torch.set_flush_denormal(True)
        return torch.device("cpu")
    if not torch.backends.cuda.is_built():
        raise ValueError(
            "this job was given a GPU, and the installed PyTorch is a build for CPUs: install one "
            "for CUDA, or set `device: cpu` in the config"
        )
    lease_gpu()  # before CUDA enumerates devices
    if not torch.cuda.is_available():
        shown = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise RuntimeError(
            f"this job was given a GPU, and PyTorch sees none on {platform.node()} "
            f"(CUDA_VISIBLE_DEVICES: {shown or 'empty'}): see what `nvidia-smi` says there, or set "
            "`device: cpu` in the config"
        )
    # Only for CUDA: on one CPU thread every operation is deterministic anyway, and the switch
    # loads PyTorch's compiler, which takes as long as PyTorch itself.
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # cuBLAS repeats its bytes only with a workspace of fixed size, set before its first use.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    return torch.device("cuda", 0)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed PyTorch's global generators of the CPU and the device, which layers such as dropout use.

    torch.manual_seed does the same, but loads PyTorch's compiler.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def use_fast_products() -> None:
    """Use oneDNN for matrix products on the CPU where that keeps float32 precision.

    At precision "medium", PyTorch uses oneDNN, which still computes in float32 on processors
    without bfloat16 units, up to twice as fast as the default. Where it would round to bfloat16
    (errors near 1e-3), full precision is kept.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 256, 256, generator=generator)
    exact = a.double() @ b.double()
    torch.set_float32_matmul_precision("medium")
    error = float((a @ b - exact).norm() / exact.norm())
    if error > 1e-6:
        torch.set_float32_matmul_precision("highest")


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices faster than float32 ones.

    Unknown for processors other than x86, which count as having the units.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def device_name(device: torch.device) -> str:
    """Name of the device for tables, for example "AMD EPYC, 1 thread"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to the device without synchronising: through pinned memory on CUDA.

    PyTorch keeps the pinned memory until the copy is complete.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def captured(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Capture the work as a CUDA graph and return its replay, after one run as warm-up.

    A graph repeats kernels alone. Work that waits for the device or draws from PyTorch's global
    generators, as a user-defined network may, is therefore returned as it is.
    """
    current, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    side.wait_stream(current)
    before = generator_states(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.stream(side):
            work()
    except RuntimeError as error:
        logging.info("not captured as a CUDA graph: %s", error)
        return work
    finally:
        torch.cuda.set_sync_debug_mode("default")
        current.wait_stream(side)
    if generator_states(device) != before:
        logging.info("not captured as a CUDA graph: the network draws random numbers")
        return work
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def generator_states(device: torch.device) -> list[list[int]]:
    """States of PyTorch's global generators of the CPU and the CUDA device."""
    return [torch.get_rng_state().tolist(), torch.cuda.get_rng_state(device).tolist()]


def wait_for(device: torch.device) -> None:
    """Wait until the device has completed all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
