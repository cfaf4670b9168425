"""The customers of the data set: names, addresses, regions."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeAlias

CustomerRow: TypeAlias = tuple[int, str, str, str, datetime]
CUSTOMER_COLUMNS = ("id", "email", "name", "region", "created_at")

_FIRST = (
    "Aisha Alejandro Amélie Anna Beatriz Ben Carlos Chloé Claire Daniel David Elena Emma Eva Fatima Felix François "
    "Grace Hannah Hugo Ines Isabel Jakub James Jana João José Julia Jürgen Karin Kenji Lars Laura Léa Lena Liam Linh "
    "Lucas Lucía Maria Marta Martin Mateo Mei Mia Mohammed Nadia Nina Noah Nora Olga Oliver Omar Paul Pedro Peter "
    "Priya Rafael Robert Rosa Ryan Sara Sofia Søren Stefan Thomas Tom Valentina Victor Wei Yuki Yusuf Zoë"
)
_LAST = (
    "Almeida Andersen Bakker Becker Bernard Bianchi Brown Chen Costa Davies Dubois Evans Fernández Fischer Garcia "
    "Haddad Hansen Hoffmann Horvat Ivanova Jensen Johnson Jones Kaya Khan Kim Kowalski Kumar Laurent Lee Lopez Martin "
    "Meyer Miller Moreau Müller Murphy Nakamura Nguyen Nielsen Novák Okafor Oliveira Patel Pereira Petrov Popescu "
    "Ricci Rossi Sánchez Santos Sato Schmidt Schneider Silva Singh Smith Suzuki Svensson Tanaka Taylor Thompson "
    "Virtanen Visser Wagner Walker Wang Weber Williams Wilson Wright Yilmaz Zhang"
)
_REGIONS = {"eu-central": 30, "eu-west": 26, "us-east": 18, "us-west": 12, "asia-east": 9, "latin-america": 5}
_DOMAINS = {"example.com": 55, "example.org": 25, "example.net": 20}  # reserved: nobody's mailbox is hit by accident
_FIRST_DAY = datetime(2023, 1, 1, tzinfo=UTC)
_SECONDS_OF_SIGNING_UP = 365 * 24 * 3600  # all are customers before the first order is placed


def customers(seed: int, count: int) -> Iterator[CustomerRow]:
    """Yield *count* >= 1 rows for ``CUSTOMER_COLUMNS``; the same for the same seed."""
    random = Random(f"people {seed}")
    first_names, last_names = _FIRST.split(), _LAST.split()
    regions, domains = _drawer(random, _REGIONS), _drawer(random, _DOMAINS)
    for number in range(1, count + 1):
        first, last = random.choice(first_names), random.choice(last_names)
        email = f"{_plain(first)}.{_plain(last)}{number}@{next(domains)}"
        signed_up = _FIRST_DAY + timedelta(seconds=random.randrange(_SECONDS_OF_SIGNING_UP))
        yield number, email, f"{first} {last}", next(regions), signed_up


def _drawer(random: Random, weights: dict[str, int]) -> Iterator[str]:
    while True:
        yield from random.choices(list(weights), list(weights.values()), k=100)


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.replace("ø", "o"))
    return letters.encode("ascii", "ignore").decode().lower()
