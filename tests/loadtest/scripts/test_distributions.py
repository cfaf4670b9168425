from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from dbpool.loadtest.scripts import distributions
from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import EvaluationError

DRAWS = 20_000
# chi-square, 9 degrees of freedom: the chance of more is 1e-6; the seeds are fixed, so a pass stays one
BOUND = 45.1
SEEDS = [1, 20, 300]

Draw = Callable[[Prng, int, int, float], int]


def chi_square(counts: Counter[int], shares: Sequence[float]) -> float:
    expected = [share * DRAWS for share in shares]
    assert math.isclose(sum(expected), DRAWS)
    assert min(expected) >= 5
    assert sum(counts[number + 1] for number in range(len(shares))) == DRAWS  # nothing out of the range
    return sum((counts[number + 1] - count) ** 2 / count for number, count in enumerate(expected))


def exponential_share(number: int, parameter: float) -> float:
    """The documented probability of the number-th of ten."""
    top = math.exp(-parameter * (number - 1) / 10) - math.exp(-parameter * number / 10)
    return top / (1 - math.exp(-parameter))


def gaussian_share(number: int, parameter: float) -> float:
    def below(deviations: float) -> float:
        return (1 + math.erf(deviations / math.sqrt(2))) / 2

    left = (number - 1) / 10 * 2 * parameter - parameter
    return (below(left + parameter / 5) - below(left)) / (2 * below(parameter) - 1)


def zipfian_share(number: int, parameter: float) -> float:
    return math.pow(number, -parameter) / sum(math.pow(rank, -parameter) for rank in range(1, 11))


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_gives_each_integer_alike(seed: int) -> None:
    prng = Prng(seed)
    counts = Counter(distributions.uniform(prng, 1, 10) for _ in range(DRAWS))
    assert chi_square(counts, [0.1] * 10) < BOUND


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("draw", "share", "parameter"),
    [
        (distributions.exponential, exponential_share, 0.5),
        (distributions.exponential, exponential_share, 4.0),
        (distributions.gaussian, gaussian_share, 2.0),
        (distributions.gaussian, gaussian_share, 3.3),
        (distributions.zipfian, zipfian_share, 1.2),
        (distributions.zipfian, zipfian_share, 1.5),
        (distributions.zipfian, zipfian_share, 3.0),
    ],
)
def test_a_distribution_has_the_shares_that_its_definition_gives(
    draw: Draw, share: Callable[[int, float], float], parameter: float, seed: int
) -> None:
    prng = Prng(seed)
    counts = Counter(draw(prng, 1, 10, parameter) for _ in range(DRAWS))
    assert chi_square(counts, [share(number, parameter) for number in range(1, 11)]) < BOUND


@pytest.mark.parametrize(
    ("draw", "parameter"),
    [(distributions.exponential, 2.0), (distributions.gaussian, 2.5), (distributions.zipfian, 1.1)],
)
def test_a_distribution_stays_in_a_range_of_any_size(draw: Draw, parameter: float) -> None:
    prng = Prng(7)
    for low, high in [(5, 5), (-3, -2), (0, (1 << 63) - 2), (-(1 << 62), 1 << 61)]:
        assert all(low <= draw(prng, low, high, parameter) <= high for _ in range(200))


def test_shapes_at_their_very_ends_still_give_integers_of_the_range() -> None:
    prng = Prng(7)
    for draw, parameter in [
        (distributions.exponential, 1e-300),
        (distributions.exponential, 1e300),
        (distributions.exponential, math.inf),
        (distributions.gaussian, 1e300),
        (distributions.zipfian, 1.001),
        (distributions.zipfian, 1000.0),
    ]:
        assert all(1 <= draw(prng, 1, 100, parameter) <= 100 for _ in range(50))


@pytest.mark.parametrize("draw", [distributions.exponential, distributions.gaussian, distributions.zipfian])
def test_no_number_is_no_parameter(draw: Draw) -> None:
    with pytest.raises(EvaluationError, match="NaN"):
        draw(Prng(1), 1, 10, math.nan)
