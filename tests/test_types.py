"""Values that travel between the stages."""

from __future__ import annotations

import numpy as np

from realtime_ser.types import WindowScores


def test_scores_without_features_hold_on_to_nothing_else() -> None:
    rows, wide = np.full((3, 4), 0.25, np.float32), np.zeros((3, 2_048), np.float32)
    windows = WindowScores(160, 160, 4_000, rows, rows, wide, np.ones(3, bool), wide[:, :88], 1.5)
    part = windows.part(1, 3)
    kept = part.without_features()
    assert (kept.first_window, kept.span, kept.captured_at) == (320, part.span, 1.5)
    assert np.array_equal(kept.scores, part.scores)
    assert np.array_equal(kept.voiced, part.voiced)
    for array in (kept.scores, kept.voiced, kept.logits, kept.features, kept.band_energies):
        # Owned, not a view: a queue of them keeps no feature alive.
        assert array.base is None or (array.base.base is None and array.base.nbytes == array.nbytes)
        assert not any(np.shares_memory(array, other) for other in (rows, wide))
    assert not kept.scores.flags.writeable
    assert not kept.voiced.flags.writeable
