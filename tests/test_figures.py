import matplotlib.pyplot as plt
import numpy as np
import pytest

from dualscale.reporting.figures import frame_cloud


@pytest.mark.parametrize(
    ("spread", "shown"),
    [((4, 8), (8, 8)), ((700, 7), (700, 7)), ((3, 0), (3, 3))],
    ids=["of one unit", "of two units", "on a line"],
)
def test_points_of_one_unit_have_one_scale_and_points_of_two_fill_the_panel(spread, shown):
    corners = np.array([[0, 0], spread])
    figure, axis = plt.subplots()
    frame_cloud([axis], corners, margin=0.0)
    assert [np.ptp(axis.get_xlim()), np.ptp(axis.get_ylim())] == pytest.approx(shown)
    assert np.mean([axis.get_xlim(), axis.get_ylim()], axis=1) == pytest.approx(
        corners.mean(axis=0)
    )
    plt.close(figure)
