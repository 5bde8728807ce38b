"""What jobs do on a GPU, with PyTorch's fake tensors as cuda:0, which have shapes and no numbers.

Every variant trains, is sampled and evaluated by the scripts themselves. PyTorch's own backward
pass does not run here, since it asks for a build for CUDA.
"""

import ctypes
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

import draw
import evaluate_steps
import sample
import train
from dualscale.config import jobs
from dualscale.config.check import check
from dualscale.data.encoding import Encoding
from dualscale.data.moments import Moments, moments_of
from dualscale.data.normalisations import Standard
from dualscale.data.table import Table
from dualscale.diffusion.conditions import Condition
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.reverse_process import BLOCK
from dualscale.diffusion.samplers import Sampler
from dualscale.metrics.kl import Reference
from dualscale.model import SETTINGS, Model
from dualscale.networks.layers import ReLU
from dualscale.parts import parts_of
from dualscale.training.checkpoint import VARIABLE
from dualscale.training.settings import Training
from dualscale.training.trainer import Trainer

CUDA = torch.device("cuda", 0)
ADAM = {torch.ops.aten._fused_adam_, torch.ops.aten._fused_adamw_}
READS = {torch.ops.aten._local_scalar_dense, torch.ops.aten.equal}
OWN = str(ROOT / "tests/own_networks.py")
MORE = {
    "own": {"architecture": {"file": str(ROOT / "examples/fourier_network.py")}},
    "learned_frequencies": {
        "like": "recommended_dual",
        "network": {"frequencies": "learned"},
        "training": {"clip_norm": 0.5, "optimiser": {"kind": "adamw", "weight_decay": 0.01}},
    },
    "quantiles": {"like": "baseline", "normalisation": "quantile"},
    "conditional": {
        "like": "recommended_dual",
        "conditioning": {"columns": ["x0"]},
        "training": {"target": "drawn"},
    },
    "gate_of_points": {"like": "adaptive", "weighting": {"inputs": "x_and_t", "gate": "sigmoid"}},
    "own_schedule": {
        "like": "baseline",
        "schedule": {"kind": "linear_path"},
        "prediction": "flow",
        "training": {"ema": {"warmup": True}, "loss": {"kind": "min_snr"}},
        "sampling": {"sampler": "dpm_solver", "prior": "moment_matched", "steps": 7},
    },
}
MORE["optimal_transport"] = {
    "like": "baseline",
    "schedule": "linear_path",
    "prediction": "flow",
    "training": {"coupling": "optimal_transport"},
    "sampling": {"sampler": "ddim"},
}
MORE["own"]["architecture"] |= {"class": "FourierNetwork", "settings": {"width": 16}}
MORE["low_precision"] = {"like": "recommended_dual", "precision": "bfloat16"}
MORE["own_low_precision"] = MORE["own"] | {"precision": "bfloat16"}
SYSTEMS = {
    "attention_weighting": ("AttentionWeighting", {"width": 8}),
    "cascade": ("Cascade", {"width": 8}),
    "deep_equilibrium": ("DeepEquilibrium", {"wide": 8, "narrow": 8, "hidden": 8, "most": 3}),
    "early_exit": ("EarlyExit", {"width": 8}),
    "grid_noise": ("GridNoise", {"asked": "added", "grids": [2], "width": 8}),
    "graph_weighting": ("GraphWeighting", {"width": 8}),
    "tabular_mlp": ("TabularMLP", {"layers": [8]}),
    "tmsa": ("TimeDependentAttention", {"width": 8, "blocks": 1}),
}
for name, (kind, settings) in SYSTEMS.items():
    file = str(ROOT / f"scripts/dualscale/networks/systems/{name}.py")
    MORE[name] = {"architecture": {"file": file, "class": kind, "settings": settings}}
MORE["cascade"]["sampling"] = {"sampler": "cascaded"}
DRAWN = ["Dropout", "AlwaysDropout", "Counting", "Reading"]
for name in ("Plain", "Normalised", *DRAWN):
    MORE[name] = {"architecture": {"file": OWN, "class": name}}


def configured():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["network"] |= {"width": 8, "hidden_layers": 1, "embedding": 8}
    config["schedule"]["timesteps"] = 12
    config["training"] |= {"steps": 5, "batch_size": 8}
    config["training"]["ema"]["every"] = 2
    config["sampling"]["points"] = 40
    config["steps"]["counts"] = [1, 3]
    config["variants"]["recommended"]["schedule"]["timesteps"] = 12
    config["variants"]["recommended"]["sampling"]["steps"] = 5
    config["variants"]["recommended_distilled"]["training"]["steps"] = 5
    for name, more in MORE.items():
        config["variants"][name] = {"label": name, **more}
    return check(config)


CONFIG = configured()
VARIANTS = list(CONFIG["variants"])


class GPUError(RuntimeError):
    """What happened would fail on a GPU, or do harm there."""


class Watch(TorchDispatchMode):
    """Look at every operation on fake tensors, and refuse what a GPU would.

    Attributes:
        strict: nothing may wait for the device; "graph": nor be drawn, as in a CUDA graph.
        graphs, replays: how many were captured, and replayed.
        drawn: operations that used a global generator.
    """

    strict: str | bool = False
    graphs = replays = drawn = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        packet, leaves = func.overloadpacket, _pytree.tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if packet is torch.ops.prim.device:
            return func(*args, **kwargs)
        if packet in READS:
            return self.read(func, tensors[0])
        if packet is torch.ops.aten.is_pinned:
            return False
        if packet is torch.ops.aten._pin_memory:
            return tensors[0]
        if packet in ADAM:
            return self.require_cuda(func, tensors)
        if packet is torch.ops.aten.index and len({t.device for t in tensors}) > 1:
            raise GPUError(f"{func}: an index on another device")
        out = func(*args, **kwargs)
        made = [leaf for leaf in _pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        generators = [leaf for leaf in leaves if isinstance(leaf, torch.Generator)]
        for generator in generators:
            if {generator.device.type} != {tensor.device.type for tensor in made}:
                raise GPUError(f"{func}: a generator on another device")
        if torch.Tag.nondeterministic_seeded in func.tags and not generators:
            self.drawn += 1
            if self.strict == "graph":
                raise GPUError(f"{func}: random numbers in a graph")
        if self.strict:
            self.require_cuda(func, tensors + made)
        return out

    def read(self, func, tensor):
        """Return 1 or True for whatever the host reads."""
        if self.strict and tensor.device == CUDA:
            raise GPUError(f"{func}: the host waits for the device")
        number = func.overloadpacket is torch.ops.aten._local_scalar_dense
        return 1.0 if number and tensor.is_floating_point() else True

    def require_cuda(self, func, tensors):
        if any(tensor.device != CUDA for tensor in tensors):
            raise GPUError(f"{func}: a tensor on the CPU among those on the GPU")

    @contextmanager
    def capture(self, graph):
        before, self.strict = self.strict, "graph"
        yield
        self.strict, self.graphs = before, self.graphs + 1

    def replay(self):
        self.replays += 1


def numbers(tensor):
    """Some numbers in a fake tensor's place."""
    if tensor.device != torch.device("cpu"):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")
    shape = tuple(tensor.shape)
    square = len(shape) == 2 and shape[0] == shape[1]  # it may be a covariance
    found = np.eye(shape[0]) if square else np.random.default_rng(0).standard_normal(shape)
    return found.astype(str(tensor.dtype).removeprefix("torch."))


def moved(module, device):
    """What `Module.to` does, which fake tensors do not allow."""
    for part in module.modules():
        for name, value in part.named_parameters(recurse=False):
            part.register_parameter(name, torch.nn.Parameter(value.to(device)))
        for name, value in part.named_buffers(recurse=False):
            part.register_buffer(name, value.to(device))
    return module


def bytes_of(tensors, **_):
    assert all(tensor.device.type == "cpu" for tensor in tensors.values())
    return b"saved"


@contextmanager
def devices_known():
    """Let tensors say they are on a GPU in a build of PyTorch that knows none.

    A device guard sets the current device around an operation; the CPU's does nothing.
    """
    library = ctypes.CDLL(str(*Path(torch.__file__).parent.glob("lib/libc10.*")))
    name = "_ZN3c104impl26device_guard_impl_registryE"
    guards = (ctypes.c_void_p * 2).in_dll(library, name)
    before = guards[1]
    guards[1] = before or guards[0]
    yield
    guards[1] = before


@pytest.fixture
def cuda(monkeypatch):
    """A GPU of fake tensors, watched."""
    watch = Watch()
    stream = SimpleNamespace(wait_stream=lambda other: None)

    def set_sync_debug_mode(mode):
        watch.strict = mode == "error"

    replaced = {
        "torch.backends.cuda.is_built": lambda: True,
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.get_device_name": lambda device: "fake",
        "torch.cuda.synchronize": lambda device: None,
        "torch.cuda.is_bf16_supported": lambda **_: True,
        "torch.cuda.manual_seed": lambda seed: None,
        "torch.cuda.current_stream": lambda device: stream,
        "torch.cuda.Stream": lambda device: stream,
        "torch.cuda.stream": lambda stream: contextmanager(lambda: (yield))(),
        "torch.cuda.graph": watch.capture,
        "torch.cuda.CUDAGraph": lambda: watch,
        "torch.cuda.set_sync_debug_mode": set_sync_debug_mode,
        "torch.use_deterministic_algorithms": lambda on: None,
        "torch.nn.Module.to": moved,
        "torch.default_generator": torch.Generator(),
        "torch.autograd.grad": lambda of, by, **_: [torch.zeros_like(each) for each in by],
        "dualscale.runtime.devices.generator_states": lambda device: watch.drawn,
        "dualscale.runtime.devices.lease_gpu": lambda: None,
        "dualscale.model._tensor": lambda file, name, shape: torch.zeros(shape),
        "dualscale.model.save": bytes_of,
        "dualscale.training.checkpoint.save": bytes_of,
        "dualscale.training.trainer.CHUNK": 2,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(name, value)
    monkeypatch.setenv(VARIABLE, "0")
    monkeypatch.setattr(FakeTensor, "numpy", numbers, raising=False)
    monkeypatch.setattr(FakeTensorMode, "avoid_device_init", True)
    with devices_known(), FakeTensorMode(allow_non_fake_inputs=True), watch:
        yield watch


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """A file of points."""
    path = tmp_path_factory.mktemp("points") / "circle.npy"
    np.save(path, np.random.default_rng(0).standard_normal((300, 2), dtype=np.float32))
    return path


@pytest.fixture(scope="module")
def saved(points, tmp_path_factory):
    """Models of all variants in files, untrained."""
    folder = tmp_path_factory.mktemp("models")
    moments = moments_of(torch.from_numpy(np.load(points)))
    for name in VARIANTS:
        chosen = jobs.model_settings(CONFIG, name)
        del chosen["training"]
        settings = SETTINGS.validate_python(
            chosen | {"sampling": jobs.drawing_settings(CONFIG, name)}
        )
        model = Model(settings, moments)
        model.backbone.initialise(["0"])
        path = folder / name / "circle/0.safetensors"
        path.parent.mkdir(parents=True)
        model.save(path, model.backbone.flat, 0)
    return folder


def architecture(name):
    return CONFIG["variants"][name].get("architecture", {}).get("file")


def run_training(name, points, saved, folder, seeds=(0, 1)):
    teacher = jobs.teacher_of(CONFIG, name)
    runs = [folder / f"{name}/circle/{seed}" for seed in seeds]
    runs[0].parent.mkdir(parents=True)
    train.main(
        points,
        [run.with_suffix(".safetensors") for run in runs],
        [run.with_suffix(".json") for run in runs],
        teachers=[saved / teacher / "circle/0.safetensors" for _ in seeds] if teacher else [],
        settings=jobs.training_settings(CONFIG, name, "circle"),
        sampling=jobs.drawing_settings(CONFIG, name),
        digest="",
        stream_suffix="circle",
        code="",
        gpu=1,
        threads=1,
    )


def run_sampling(name, saved, folder):
    run = folder / f"{name}/circle/0"
    run.parent.mkdir(parents=True)
    sample.main(
        [saved / name / "circle/0.safetensors"],
        *([run.with_suffix(ending)] for ending in (".npy", ".csv", ".json")),
        settings=jobs.sampling_settings(CONFIG, name),
        digest="",
        stream_suffix="circle",
        architecture=architecture(name),
        gpu=1,
        threads=1,
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_training_runs_on_a_gpu_and_is_captured(name, points, saved, cuda, tmp_path):
    run_training(name, points, saved, tmp_path)
    assert cuda.replays == (0 if name in DRAWN else 2)


@pytest.mark.parametrize("name", VARIANTS)
def test_sampling_runs_on_a_gpu_and_is_captured(name, saved, cuda, tmp_path):
    run_sampling(name, saved, tmp_path)
    assert cuda.replays == (0 if name in ("AlwaysDropout", "Reading") else 1)


@pytest.mark.parametrize("name", ["baseline", "adaptive", "recommended", "own"])
def test_every_sampler_is_evaluated_on_a_gpu(name, points, saved, cuda, tmp_path):
    steps = tmp_path / f"{name}/circle/0.csv"
    steps.parent.mkdir(parents=True)
    real = np.load(points)
    with (tmp_path / "neighbours.npz").open("wb") as file:
        Reference.of(real, [3]).save(file)
    evaluate_steps.main(
        saved / name / "circle/0.safetensors",
        points,
        tmp_path / "neighbours.npz",
        steps,
        dataset="circle",
        settings={"metrics": [], "samplings": jobs.tried_samplings(CONFIG, name)},
        stream="0/circle",
        architecture=architecture(name),
        gpu=1,
        threads=1,
    )
    assert len(steps.read_text().splitlines()) == 1 + 2 * len(list(parts_of(Sampler)))


@pytest.mark.parametrize("kind", [part().kind for part in parts_of(Sampler)])
def test_every_sampler_of_a_stack_is_captured(kind, cuda):
    chosen = jobs.model_settings(CONFIG, "recommended_dual")
    del chosen["training"]
    moments = Moments(np.zeros(2), np.eye(2))
    model = Model(SETTINGS.validate_python(chosen), moments, 2, CUDA)
    drawing = Drawing.model_validate({"sampler": kind, "steps": 4})
    sampler = model.sampler(drawing, BLOCK + 1, ["0", "1"])
    sampler.warm_up()
    assert sampler.draw().shape == (2, BLOCK + 1, 2)
    assert (cuda.graphs, cuda.replays) == (1, 2)


@pytest.fixture(scope="module")
def table():
    """Encoding of a table of words and numbers, and its rows as points."""
    import pandas as pd

    rng = np.random.default_rng(0)
    cells = pd.DataFrame({"word": rng.choice(list("abc"), 300), "number": rng.random(300)})
    encoding = Encoding.fit(Table(cells, ["string", "double"]))
    return encoding, encoding.encode(cells, rng).astype("f4")


@pytest.mark.parametrize("kind", ["absorbing", "multinomial"])
def test_categories_with_discrete_noise_are_captured(kind, table, cuda):
    encoding, points = table
    chosen = jobs.model_settings(CONFIG, "adaptive") | {"categories": {"kind": kind}}
    training = Training.model_validate(chosen.pop("training"))
    parts = Moments(np.zeros(4), np.eye(4)), 2, CUDA, Standard().units(points), encoding
    model = Model(SETTINGS.validate_python(chosen), *parts)
    trainer = Trainer(model, torch.from_numpy(points).to(CUDA), training, ["0", "1"])
    trainer.warm_up()
    sampler = model.sampler(Drawing(steps=4), BLOCK + 1, ["0", "1"])
    sampler.warm_up()
    for _ in trainer.run():
        pass
    assert sampler.draw().shape == (2, BLOCK + 1, 4)
    assert (cuda.graphs, cuda.replays) == (2, 4)


def test_points_are_drawn_on_a_gpu(saved, cuda, tmp_path):
    model = saved / "adaptive/circle/0.safetensors"
    draw.main(draw.parse([str(model), str(tmp_path / "points.npy"), "--device", "cuda"]))
    assert np.load(tmp_path / "points.npy").shape == (10_000, 2)


@pytest.mark.parametrize("guidance", [1, 2])
def test_points_are_drawn_conditionally_on_a_gpu_and_captured(guidance, cuda):
    chosen = jobs.model_settings(CONFIG, "conditional")
    del chosen["training"]
    model = Model(SETTINGS.validate_python(chosen), Moments(np.zeros(2), np.eye(2)), 2, CUDA)
    given = np.tile([True, False], (BLOCK + 1, 1))
    condition = Condition(np.ones((BLOCK + 1, 2), np.float32), given, guidance)
    streams, drawing = ["0", "1"], Drawing(steps=4)
    sampler = model.sampler(drawing, BLOCK + 1, streams, condition)
    sampler.warm_up()
    assert sampler.draw().shape == (2, BLOCK + 1, 2)
    assert (cuda.graphs, cuda.replays) == (1, 2)


def on_the_cpu(layer, x):
    return x + torch.zeros(())


def read_by_the_host(layer, x):
    return x / x.sum().item()


def with_a_generator_of_the_cpu(layer, x):
    return x + torch.randn(x.shape, device=x.device, generator=torch.Generator())


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        (on_the_cpu, "a tensor on the CPU"),
        (read_by_the_host, "the host waits"),
        (with_a_generator_of_the_cpu, "a generator on another device"),
    ],
)
@pytest.mark.parametrize("job", ["training", "sampling"])
def test_defects_are_found(job, defect, said, points, saved, cuda, tmp_path, monkeypatch, caplog):
    """They keep a network from being captured; the tests above would fail."""
    monkeypatch.setattr(ReLU, "forward", defect)
    caplog.set_level("INFO")
    with suppress(GPUError):
        if job == "training":
            run_training("baseline", points, saved, tmp_path)
        else:
            run_sampling("baseline", saved, tmp_path)
    assert cuda.replays == 0
    assert said in caplog.text
