"""Quantities that change with time: sums of sines drawn from a generator."""

from dataclasses import dataclass

import numpy as np

TAU = 2 * np.pi


@dataclass(frozen=True)
class Wave:
    """Sum of sines with values in -1..1."""

    amplitude: np.ndarray
    frequency: np.ndarray  # cycles / frame
    phase: np.ndarray

    def __call__(self, t):
        angle = TAU * self.frequency * np.asarray(t, np.float64)[..., None] + self.phase
        return (self.amplitude * np.sin(angle)).sum(-1)

    def faster(self, factor):
        """The same wave with its frequencies times a factor."""
        return Wave(self.amplitude, self.frequency * factor, self.phase)


def draw_wave(rng, periods, terms=2):
    """A wave with periods (frames) drawn log-uniformly from a range; slow sines are stronger."""
    period = np.sort(np.exp(rng.uniform(*np.log(periods), terms)))[::-1]
    amplitude = rng.uniform(0.5, 1.0, terms) * period
    return Wave(amplitude / amplitude.sum(), 1 / period, rng.uniform(0, TAU, terms))


def draw_waves(rng, periods, t, count=2):
    """(N, count) values at times t (N,) of waves drawn one after the other."""
    return np.stack([draw_wave(rng, periods)(t) for _ in range(count)], -1)
