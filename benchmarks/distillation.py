"""Measure what distilling the recipe costs beside its training: benchmarks/distillation.csv.

CPU time of one thread, in turns, so that other work on the machine matters little.
"""

import argparse
import statistics

import torch
from pydantic import TypeAdapter

from benchmark import make_trainer, write
from dualscale.config.check import check_files
from dualscale.config.variants import AnyVariant
from dualscale.runtime.devices import open_device
from dualscale.training.distillation import teach
from systems import cpu_ms

STEPS, POINTS = 100, 2000
COLUMNS = ["rounds", "training_s", "ends_s", "student_s", "ratio"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of which the median is kept")
    rounds = parser.parse_args().rounds
    device = open_device(0, 1)  # as a job does
    given = check_files([])["variants"]
    names = "recommended", "recommended_distilled"
    teacher, student = map(TypeAdapter(AnyVariant).validate_python, [given[name] for name in names])
    data = torch.randn(100_000, 2)
    model, training = make_trainer(teacher, STEPS, device, data)
    _, distilling = make_trainer(student, STEPS, device, data)
    target = student.training.target
    few = target.model_copy(update={"points": POINTS})
    levels = student.sampling.visited(model.levels).t
    jobs = {
        "training_s": (lambda: [*training.run()], teacher.training.steps / STEPS),
        "ends_s": (lambda: teach([model], data, levels, few, ["0"]), target.points / POINTS),
        "student_s": (lambda: [*distilling.run()], student.training.steps / STEPS),
    }
    seen = [
        {name: cpu_ms(job) * share / 1000 for name, (job, share) in jobs.items()}
        for _ in range(rounds)
    ]
    medians = [statistics.median(turn[name] for turn in seen) for name in jobs]
    ratio = statistics.median((t["ends_s"] + t["student_s"]) / t["training_s"] for t in seen)
    write("distillation.csv", COLUMNS, [[rounds, *(f"{m:.2f}" for m in medians), f"{ratio:.3f}"]])


if __name__ == "__main__":
    main()
