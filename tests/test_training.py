import ema_pytorch
import numpy as np
import pytest
import torch
from test_backbone import GLOBAL, LEARNED, LOCAL, VARIANTS, Literal
from test_backbone import settings as model_settings
from torch import nn

from dualscale.data.moments import moments_of
from dualscale.diffusion.losses import Uniform
from dualscale.diffusion.schedules import Linear
from dualscale.model import Model
from dualscale.networks.backbone import Backbone
from dualscale.training import loss as loss_module
from dualscale.training import trainer as training
from dualscale.training.examples import examples, mirror, training_coefficients
from dualscale.training.loss import evaluation_loss
from dualscale.training.optimisers import Adam, AdamW
from dualscale.training.settings import EMA, Training
from dualscale.training.trainer import DivergedError, Trainer

LEVELS = Linear().levels()
OF_TORCH = {Adam: torch.optim.Adam, AdamW: torch.optim.AdamW}


def paper(**changes):
    """Training as the paper's, but for its length and what is given."""
    few = {"steps": 60, "batch_size": 32, "learning_rate": 1e-3, "ema": EMA(decay=0.9)}
    return Training(**few | changes)


PAPER = paper()
RELEASED = paper(optimiser=AdamW(weight_decay=0.01), clip_norm=0.5, ema=EMA(decay=0.9, warmup=True))


def make_data(scale=1.0):
    return scale * torch.from_numpy(np.random.default_rng(0).normal(size=(500, 2))).float()


def make_trainer(variant="learned", settings=PAPER, streams=("0",), data=None):
    data = make_data() if data is None else data
    return Trainer(make_model(VARIANTS[variant], data, streams), data, settings, streams)


def make_model(spec, data, streams=("0",)):
    model = Model(spec, moments_of(data), len(streams), data.device)
    model.backbone.initialise(streams)
    return model


def run(trainer):
    """Train to the end; return the losses of all steps, (steps, S)."""
    return torch.cat([progress.losses for progress in trainer.run()])


def literal_training(trainer, settings, steps, dtype=torch.float32):
    """Reference loop of modules, torch.optim and ema-pytorch, on the trainer's random draws."""
    model = Literal(trainer.backbone.settings, trainer.backbone).to(dtype)
    ema = ema_pytorch.EMA(
        model,
        beta=settings.ema.decay,
        update_every=settings.ema.every,
        **({} if settings.ema.warmup else {"update_after_step": -1, "min_value": 0.9}),
    )
    ema.copy_params_from_model_to_ema()
    ema.initted.fill_(True)
    kind, decay = OF_TORCH[type(settings.optimiser)], settings.optimiser.weight_decay
    optimiser = kind(model.parameters(), lr=settings.learning_rate, weight_decay=decay)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    losses = []
    for step in range(steps):
        if step % trainer.chunk == 0:
            trainer._load(step, trainer._draw(step))
        x_t, t, noise = (
            drawn[step % trainer.chunk, 0]
            for drawn in (trainer.seen, trainer.times, trainer.targets)
        )
        loss = nn.functional.mse_loss(model(x_t.to(dtype), t), noise.to(dtype))
        optimiser.zero_grad()
        loss.backward()
        if settings.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        annealing.step()
        ema.update()
        losses.append(loss.item())
    return losses, ema.ema_model


@pytest.mark.parametrize("settings", [PAPER, RELEASED], ids=["paper", "released"])
@pytest.mark.parametrize("variant", ["baseline", "learned", "released"])
def test_losses_and_ema_are_those_of_a_plain_loop(variant, settings):
    trainer = make_trainer(variant, settings)
    expected, ema_model = literal_training(make_trainer(variant, settings), settings, 60)
    losses = run(trainer)[:, 0]
    np.testing.assert_allclose(losses, expected, rtol=2e-3)
    averaged = Backbone(VARIANTS[variant], 2, 100)
    averaged.flat.copy_(trainer.ema)
    x, t = torch.randn(1, 200, 2), torch.randint(0, 100, (1, 200))
    torch.testing.assert_close(averaged(x, t)[0], ema_model(x[0], t[0]), rtol=1e-2, atol=1e-3)


def test_losses_of_hundreds_of_steps_differ_from_a_plain_loops_by_rounding_alone():
    """The bounds follow from the plain loop's own float32 error over the same draws."""
    branches = {"global": GLOBAL, "local": LOCAL}
    spec = model_settings(branches, LEARNED, width=256, embedding=128)
    settings = paper(steps=200, batch_size=256, learning_rate=3e-4)
    trainer = Trainer(make_model(spec, make_data()), make_data(), settings, ["0"])
    exact, single = (
        np.array(literal_training(trainer, settings, 200, dtype)[0])
        for dtype in (torch.float64, torch.float32)
    )
    losses = run(trainer)[:, 0].numpy()
    first = np.abs(single / exact - 1)[:20].max()  # it depends on the processor
    np.testing.assert_allclose(losses[:20], exact[:20], rtol=2e-5 + 2 * first)
    assert np.abs(losses - exact).mean() < 2 * np.abs(single - exact).mean()


@pytest.mark.parametrize("shape", [(7,), (3, 7)])
def test_noisy_points_are_alpha_times_clean_plus_sigma_times_noise(shape):
    x_0, noise = torch.randn(2, *shape, 2)
    t = torch.randint(0, 100, shape)
    model = make_model(VARIANTS["baseline"], make_data())
    table = training_coefficients(model, Uniform(), x_0.device)
    x_t, target, weight = examples(x_0, t, noise, table)
    for index in np.ndindex(shape):
        alpha, sigma = LEVELS.alpha[t[index]], LEVELS.sigma[t[index]]
        torch.testing.assert_close(x_t[index], (alpha * x_0[index] + sigma * noise[index]).float())
    assert torch.equal(target, noise)
    assert torch.equal(weight, torch.ones(shape))


def test_mirrored_examples_differ_in_the_sign_of_their_noise_alone():
    points, times = torch.arange(20).reshape(2, 10), torch.arange(20).reshape(2, 10) % 7
    noise = torch.randn(2, 10, 3)
    drawn = points.clone(), times.clone(), noise.clone()
    mirror(3, points, times, noise=noise)
    assert torch.equal(points[:, 7:], points[:, :3])
    assert torch.equal(times[:, 7:], times[:, :3])
    assert torch.equal(noise[:, 7:], -noise[:, :3])
    for made, before in zip((points, times, noise), drawn, strict=True):
        assert torch.equal(made[:, :7], before[:, :7])


def test_an_odd_batch_keeps_one_example_without_a_partner():
    points, times, noise = torch.arange(7), torch.arange(7), torch.randn(7, 2)
    drawn = points.clone(), times.clone(), noise.clone()
    mirror(Training(batch_size=7, antithetic_fraction=1.0).pairs, points, times, noise=noise)
    assert points.tolist() == times.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert torch.equal(noise[:4], drawn[2][:4])
    assert torch.equal(noise[4:], -drawn[2][:3])


def test_training_draws_the_same_numbers_for_every_device(monkeypatch):
    """The device "meta" stands for a GPU: it has neither numbers nor a generator of its own."""
    sent, model = {}, make_model(VARIANTS["learned"], make_data(), ("a", "b"))
    for device in ("cpu", "meta"):
        sent[device] = []

        def send(tensor, to, sent=sent[device]):
            sent.append(tensor)
            return tensor.to(to)

        for module in (loss_module, training):
            monkeypatch.setattr(module, "to_device", send)
        stack = Model(VARIANTS["learned"], model.moments, 2, torch.device(device))
        data = make_data().to(device)
        trainer = Trainer(stack, data, PAPER, ("a", "b"))
        trainer._load(100, trainer._draw(100))
        loss = evaluation_loss(stack, data, PAPER, ("a", "b"))
        assert trainer.seen.device.type == loss.device.type == device
    assert len(sent["cpu"]) == len(sent["meta"]) == 7
    for ours, theirs in zip(*sent.values(), strict=True):
        assert theirs.device.type == "cpu"
        assert torch.equal(ours, theirs)


def test_the_next_chunk_is_drawn_before_a_gpu_is_waited_for(monkeypatch):
    happened = []
    for name in ("_draw", "_steps", "_require_finite"):
        work = getattr(Trainer, name)

        def noted(self, *arguments, name=name, work=work):
            happened.append(name)
            return work(self, *arguments)

        monkeypatch.setattr(Trainer, name, noted)
    run(make_trainer(settings=paper(steps=130)))
    once = ["_steps", "_require_finite"]
    assert happened == ["_draw", "_steps", "_draw", "_require_finite", *once]


def test_ema_warm_up_is_that_of_ema_pytorch():
    model = nn.Linear(1, 1, bias=False)
    ema = ema_pytorch.EMA(model, beta=0.995, update_every=10)
    ours, value = EMA(decay=0.995, every=10, warmup=True), None
    for done in range(1500):
        with torch.no_grad():
            model.weight.fill_(float(np.sin(done)))
        if done == 110:
            # The release's older version copies the weights in its first average; newer versions
            # do so in their first call.
            ema.initted.fill_(False)
        ema.update()
        decay = ours.decay_after(done)
        if decay is not None:
            now = model.weight.item()
            value = now if value is None else decay * value + (1 - decay) * now
            assert ema.ema_model.weight.item() == pytest.approx(value, abs=1e-4), done


@pytest.mark.parametrize(("steps", "every"), [(500, 10), (501, 10), (7, 1)])
def test_the_ema_knows_what_it_keeps_of_the_initial_weights(steps, every):
    ema, average = EMA(decay=0.98, every=every), 1.0
    for done in range(steps):
        average *= ema.decay_after(done) or 1.0  # of parameters that are 0 after the first step
    assert ema.initial_share(steps) == pytest.approx(average)
    shorter = EMA(decay=ema.decay_for(steps), every=every)
    assert shorter.initial_share(steps) <= 0.01
    assert EMA(decay=shorter.decay + 0.01, every=every).initial_share(steps) > 0.01


def test_learning_rate_is_torchs_cosine_annealing():
    weight = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=0.3)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 50)
    settings = paper(learning_rate=0.3, steps=50)
    for done in range(50):
        expected = optimiser.param_groups[0]["lr"]
        assert settings.learning_rate_after(done) == pytest.approx(expected)
        optimiser.step()
        annealing.step()


@pytest.mark.parametrize("kind", OF_TORCH)
def test_optimisers_take_the_steps_of_torch(kind):
    ours, weight = torch.ones(7), nn.Parameter(torch.ones(7))
    chosen = kind(weight_decay=0.1)
    state, theirs = chosen.start(ours), OF_TORCH[kind]([weight], weight_decay=0.1)
    for rate in (0.3, 0.2, 0.1):
        gradient = torch.randn(7)
        theirs.param_groups[0]["lr"], weight.grad = rate, gradient.clone()
        theirs.step()
        chosen.step(ours, gradient, state, rate)
        torch.testing.assert_close(ours, weight.detach())


def test_the_same_stream_gives_the_same_bytes():
    first, second = make_trainer(), make_trainer()
    run(first), run(second)
    assert torch.equal(first.ema, second.ema)


def test_warm_up_leaves_no_trace():
    cold, warm = make_trainer(), make_trainer()
    warm.warm_up()
    run(cold), run(warm)
    assert torch.equal(cold.ema, warm.ema)
    assert torch.equal(cold.backbone.flat, warm.backbone.flat)


@pytest.mark.parametrize("settings", [PAPER, RELEASED], ids=["paper", "released"])
def test_models_train_together_as_they_do_alone(settings):
    together = make_trainer(settings=settings, streams=("a", "b"))
    losses = run(together)
    for model, stream in enumerate("ab"):
        alone = run(make_trainer(settings=settings, streams=(stream,)))
        np.testing.assert_allclose(losses[:, model], alone[:, 0], rtol=1e-3)


def test_the_last_chunk_may_be_cut_short():
    long = make_trainer(settings=paper(steps=130))
    steps = [progress.step for progress in long.run()]
    assert steps == [100, 130]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_stops_training_and_names_the_step():
    data = make_data()
    trainer = make_trainer(settings=paper(steps=400), data=data)
    progress = trainer.run()
    next(progress)
    data.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"not finite at step 101 of 400: try a learning_rate"):
        next(progress)


def test_weights_that_the_last_step_makes_nan_stop_training(monkeypatch):
    trainer = make_trainer(settings=paper(steps=3))
    step = Adam.step

    def broken(self, parameters, gradient, state, rate):
        if trainer.losses[2, 0]:
            gradient.fill_(float("nan"))
        step(self, parameters, gradient, state, rate)

    monkeypatch.setattr(Adam, "step", broken)
    with pytest.raises(DivergedError, match="the parameters are not finite after step 3 of 3: try"):
        run(trainer)


def test_training_learns():
    trainer = make_trainer(settings=paper(steps=400))
    losses = run(trainer)
    assert losses[-50:].mean() < 0.8 * losses[:20].mean()


def test_evaluation_loss_is_the_objective_over_the_whole_set():
    data = make_data().repeat(40, 1)
    model = make_model(VARIANTS["learned"], data)
    whole = evaluation_loss(model, data, PAPER, ["0"])
    assert whole.shape == (1,)
    t, noise = torch.randint(0, 100, (len(data),)), torch.randn(len(data), 2)
    scale = torch.from_numpy(np.stack([LEVELS.alpha, LEVELS.sigma], axis=1))[t].float()
    x = scale[:, :1] * data + scale[:, 1:] * noise
    literal = Literal(VARIANTS["learned"], model.backbone)
    expected = (literal(x, t) - noise).square().mean()
    torch.testing.assert_close(whole[0], expected.detach(), rtol=0.05, atol=0)
