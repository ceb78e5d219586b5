"""Write the example data set of variable stars: ``python make_variable_stars.py``.

The stars are drawn from a seeded generator. Three kinds of star change their brightness in three
ways; each is observed in some tens of nights, no two of them equally often. ``variable_stars.csv``
has a line per star, ``light_curves.csv`` a line per observation.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SEED = 57
N_STARS = 150
#: Fewest and most observations of a star, and the length of the campaign in days.
OBSERVATIONS = (12, 45)
CAMPAIGN_DAYS = 200.0
ERROR_MAGNITUDES = 0.04


def _cepheid(phase: float) -> float:
    """Rises fast and fades slowly."""
    return phase / 0.3 if phase < 0.3 else (1.0 - phase) / 0.7


def _eclipsing_binary(phase: float) -> float:
    """Constant, but for a deep and a shallow eclipse."""
    return -1.0 if phase < 0.08 else -0.5 if 0.5 < phase < 0.58 else 0.0


def _long_period(phase: float) -> float:
    return 0.5 * math.sin(2.0 * math.pi * phase)


#: Per type: shape of the light curve over a phase from 0 to 1, shortest and longest period in days,
#: smallest and largest amplitude in magnitudes, mean colour index B-V.
TYPES: dict[str, tuple[Callable[[float], float], tuple[float, float], tuple[float, float], float]] = {
    "cepheid": (_cepheid, (3.0, 30.0), (0.4, 1.2), 0.8),
    "eclipsing_binary": (_eclipsing_binary, (0.5, 10.0), (0.3, 1.0), 0.5),
    "long_period": (_long_period, (80.0, 400.0), (0.5, 2.5), 1.4),
}


def variable_stars() -> tuple[str, str]:
    """The texts of ``variable_stars.csv`` and ``light_curves.csv``."""
    draw = random.Random(SEED)
    stars = ["star_id,colour,mean_magnitude,type"]
    observations = ["star_id,time,magnitude,error"]
    for star_id in range(1, N_STARS + 1):
        name = draw.choice(list(TYPES))
        shape, periods, amplitudes, colour = TYPES[name]
        mean = draw.uniform(8.0, 15.0)
        stars.append(f"{star_id},{draw.gauss(colour, 0.25):.3f},{mean:.3f},{name}")
        period, amplitude, start = draw.uniform(*periods), draw.uniform(*amplitudes), draw.random()
        nights = sorted(draw.uniform(0.0, CAMPAIGN_DAYS) for _ in range(draw.randint(*OBSERVATIONS)))
        for time in nights:
            brightness = amplitude * shape((start + time / period) % 1.0)
            error = ERROR_MAGNITUDES * draw.uniform(0.5, 1.5)
            # Magnitudes count backwards: the brighter, the smaller.
            magnitude = mean - brightness + draw.gauss(0.0, error)
            observations.append(f"{star_id},{time:.3f},{magnitude:.3f},{error:.3f}")
    return "\n".join(stars) + "\n", "\n".join(observations) + "\n"


if __name__ == "__main__":
    for file_name, text in zip(("variable_stars.csv", "light_curves.csv"), variable_stars(), strict=True):
        (FOLDER / file_name).write_text(text, encoding="utf-8", newline="\n")
