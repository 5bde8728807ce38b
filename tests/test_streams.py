from unittest.mock import Mock

import torch

from dualscale.runtime.devices import to_device
from dualscale.runtime.streams import stream_seed


def test_a_stream_depends_on_its_name_alone():
    assert stream_seed(3, "batches", 100) == stream_seed(3, "batches", 100)


def test_seeds_and_purposes_have_streams_of_their_own():
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1)]
    assert len({stream_seed(*name) for name in names}) == len(names)


def test_streams_fit_the_generators_of_numpy_and_torch():
    assert all(0 <= stream_seed(seed, "x") < 2**63 for seed in range(200))


def test_numbers_are_copied_to_a_gpu_without_waiting_for_it():
    numbers, gpu = Mock(), torch.device("cuda")
    to_device(numbers, gpu)
    numbers.pin_memory.return_value.to.assert_called_once_with(gpu, non_blocking=True)


def test_numbers_for_the_cpu_stay_where_they_are():
    numbers = torch.zeros(3)
    assert to_device(numbers, torch.device("cpu")) is numbers
