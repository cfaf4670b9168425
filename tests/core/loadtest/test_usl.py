"""The USL fit: published data give the published values, and where the law does not hold that is said."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from scipy.optimize import minimize

from dbpool.loadtest.usl import Point, Usl, fit
from tests.core.loadtest.simulated import throughput

# Sun SPARCcenter 2000, SPEC SDM91, October 1994: users, scripts an hour. In Gunther's book, in the R package usl as
# specsdm91 and in codahale/usl as example.csv; R's usl 3.x gives 89.9952, 0.0277285 and 0.0001044.
SPECSDM91 = {1: 65, 18: 996, 36: 1652, 72: 1853, 108: 1829, 144: 1775, 216: 1702}

# codahale/usl, model_test.go: concurrency 1 to 32
CODAHALE = [
    955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7, 9047.84,
    9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37, 12075.41,
    12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
]  # fmt: skip


def law(size: float, lambda_: float, sigma: float, kappa: float) -> float:
    return lambda_ * size / (1 + sigma * (size - 1) + kappa * size * (size - 1))


def points_of(curve: dict[int, float], half: float | None = None) -> list[Point]:
    return [Point(size, tps, half and half * tps) for size, tps in curve.items()]


def fitted(points: list[Point]) -> Usl:
    found = fit(points, seed=1)
    assert found is not None
    return found


def test_specsdm91_gives_the_published_values() -> None:
    found = fitted(points_of({size: float(tps) for size, tps in SPECSDM91.items()}))
    assert found.lambda_ == pytest.approx(89.9952, rel=1e-4)
    assert found.sigma == pytest.approx(0.0277285, rel=1e-4)
    assert found.kappa == pytest.approx(0.0001044, rel=1e-3)
    assert found.peak_size == pytest.approx(96.5, abs=0.1)
    assert found.ceiling == pytest.approx(3245.6, rel=1e-3)


def test_the_sample_of_codahale_gives_the_values_of_its_tests() -> None:
    found = fitted([Point(size, tps) for size, tps in enumerate(CODAHALE, 1)])
    assert found.lambda_ == pytest.approx(995.6486, rel=1e-4)
    assert found.sigma == pytest.approx(0.02671591, rel=1e-4)
    assert found.kappa == pytest.approx(7.690945e-4, rel=1e-4)
    assert int(found.peak_size or 0) == 35
    assert found.tps_at(35) == pytest.approx(12341.745, rel=1e-4)
    assert found.tps_at(1) == pytest.approx(995.6488, rel=1e-4)


def test_another_way_to_the_smallest_squares_ends_at_the_same_place() -> None:
    sizes, tps = np.array(list(SPECSDM91)), np.array(list(SPECSDM91.values()))
    found = fitted(points_of({size: float(tps) for size, tps in SPECSDM91.items()}))

    def squares(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        sigma, kappa = values[1] / 100, values[2] / 10_000
        return float(
            np.sum((values[0] * 100 * sizes / (1 + sigma * (sizes - 1) + kappa * sizes * (sizes - 1)) - tps) ** 2)
        )

    other = minimize(squares, [1, 1, 1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 5000})
    assert [found.lambda_, found.sigma, found.kappa] == pytest.approx(
        [other.x[0] * 100, other.x[1] / 100, other.x[2] / 10_000], rel=1e-4
    )


def test_where_the_law_holds_its_peak_is_found_and_believed() -> None:
    random = Random(1)
    curve = {size: law(size, 500, 0.05, 0.0009) * random.gauss(1, 0.01) for size in (1, 2, 4, 8, 16, 24, 32, 48, 64)}
    found = fitted(points_of(curve, 0.02))
    assert found.is_valid
    assert found.peak_size == pytest.approx(32.5, rel=0.1)
    assert found.peak_interval is not None
    assert 32.5 in found.peak_interval
    assert found.peak_interval.half < 4
    assert 0.0009 in found.kappa_interval


def test_the_peak_is_as_uncertain_as_its_interval_says() -> None:
    random = Random(1)
    sizes = (1, 2, 4, 8, 16, 24, 32, 48, 64)
    held = 0
    for _ in range(40):
        curve = {size: law(size, 500, 0.05, 0.0009) * random.gauss(1, 0.02) for size in sizes}
        found = fitted(points_of(curve, 0.04))
        assert found.peak_interval is not None
        held += 32.5 in found.peak_interval
    assert held >= 34
    less, more = (fit(points_of(curve, 0.04), seed=1, confidence=each) for each in (0.8, 0.98))
    assert less is not None
    assert more is not None
    assert less.peak_interval is not None
    assert more.peak_interval is not None
    assert less.peak_interval.half / more.peak_interval.half == pytest.approx(1.2816 / 2.3263, rel=0.1)


def test_a_plateau_is_not_explained_by_the_law() -> None:
    found = fitted(points_of({size: throughput(size, 8, 0.002, 0.0005) for size in (1, 2, 4, 8, 10, 16, 32, 64)}))
    assert not found.is_valid
    assert found.peak_size is not None
    assert found.peak_size > 15  # far from the knee, which is 10
    assert any("not that of this server" in why for why in found.why_not)


def test_a_sweep_that_ends_too_early_is_not_believed() -> None:
    random = Random(1)
    curve = {size: law(size, 500, 0.05, 0.0009) * random.gauss(1, 0.01) for size in (1, 2, 3, 4, 6, 8, 10, 12)}
    found = fitted(points_of(curve))
    assert not found.is_valid
    assert found.why_not


def test_a_sweep_must_go_beyond_the_peak() -> None:
    exact = {size: law(size, 500, 0.05, 0.0009) for size in (1, 2, 4, 8, 16, 32, 42)}  # N* is 32.5
    assert fitted(points_of(exact)).why_not == ("the largest size, 42, is too near to N* = 32, or below it",)
    assert fitted(points_of({**exact, 43: law(43, 500, 0.05, 0.0009)})).is_valid


def test_a_curve_without_a_peak_has_none() -> None:
    found = fitted(points_of({size: law(size, 500, 0.1, 0) for size in (1, 2, 4, 8, 16, 32, 64)}))
    assert "kappa may be 0, a curve without a peak" in found.why_not
    assert found.peak_interval is None
    assert found.ceiling == pytest.approx(5000, rel=0.01)


def test_a_perfect_line_has_neither_peak_nor_ceiling_to_speak_of() -> None:
    found = fitted(points_of({size: 500.0 * size for size in (1, 2, 4, 8, 16, 32)}))
    assert found.lambda_ == pytest.approx(500, rel=1e-3)
    assert not found.is_valid


def test_six_sizes_are_the_fewest_to_believe() -> None:
    sizes = (1, 4, 16, 48, 64)
    found = fitted(points_of({size: law(size, 500, 0.05, 0.0009) for size in sizes}))
    assert found.why_not == ("5 sizes are too few: it takes 6",)


def test_exact_points_weigh_more() -> None:
    curve = {size: law(size, 500, 0.05, 0.0009) for size in (1, 2, 4, 8, 16, 32, 64)}
    points = [*points_of(curve, 0.001), Point(48, law(48, 500, 0.05, 0.0009) * 1.3, 4000)]
    assert fitted(points).peak_size == pytest.approx(32.5, abs=0.1)
    without = [Point(point.size, point.tps) for point in points]
    assert fitted(without).peak_size != pytest.approx(32.5, abs=1)


@pytest.mark.parametrize("curve", [{}, {1: 5.0, 2: 9.0, 4: 12.0}, dict.fromkeys((1, 2, 4, 8), 0.0)])
def test_too_little_is_no_fit(curve: dict[int, float]) -> None:
    assert fit(points_of(curve), seed=1) is None


def test_a_point_without_throughput_is_a_misfit() -> None:
    found = fitted(points_of({1: 5.0, 2: 9.0, 4: 15.0, 8: 20.0, 16: 0.0, 32: 0.0}))
    assert found.misfit == float("inf")
    assert not found.is_valid
