"""Which numbers of a table are marked as the best, the second and the third."""

from collections.abc import Mapping

import numpy as np

from siamjax.measures.result import Figure

MARKED = 3


def places(figure: Figure, values: Mapping[str, float | None]) -> dict[str, int]:
    """Name -> 1, 2 or 3, of those that are among the first three.

    What is printed the same has the same place, and as many places follow as are taken: of .70, .70
    and .69 the last is third. A number alone, or equal to all others, has none.

    Args:
        figure: says which direction is better, and how a value is printed.
        values: by name; None or NaN where there is none.
    """
    sign = 1 if figure.lower_is_better else -1
    printed = {
        name: sign * float(figure.number(value))
        for name, value in values.items()
        if value is not None and np.isfinite(value)
    }
    if len(set(printed.values())) < 2:
        return {}
    ranks = {name: 1 + sum(v < own for v in printed.values()) for name, own in printed.items()}
    return {name: rank for name, rank in ranks.items() if rank <= MARKED}
