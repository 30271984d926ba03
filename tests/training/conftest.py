"""What several tests of trainings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from hsi_cd.runtime.signals import Stop


@pytest.fixture
def stopping() -> Iterator[Stop]:
    """Asks to leave after four steps."""
    stop, steps = Stop(), []

    def count(*told: object) -> None:
        steps.append(1)
        if len(steps) == 4:
            stop.asked = "the test"

    hook = register_optimizer_step_post_hook(count)
    yield stop
    hook.remove()
