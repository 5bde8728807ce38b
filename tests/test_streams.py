from dualscale.streams import stream_seed


def test_a_stream_depends_on_its_name_alone():
    assert stream_seed(3, "batches", 100) == stream_seed(3, "batches", 100)


def test_seeds_and_purposes_have_streams_of_their_own():
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1)]
    assert len({stream_seed(*name) for name in names}) == len(names)


def test_streams_fit_the_generators_of_numpy_and_torch():
    assert all(0 <= stream_seed(seed, "x") < 2**63 for seed in range(200))
