"""A network of torch that calls each pixel by its own patch, as published change detectors do; a method of hsi-cd.

A subclass builds the network. Scaling, patches, the loop of training and the probabilities are the same for all
peers, and those of the paper of SpectralKAN (arXiv 2407.00949): both dates scaled together to 0..1, batches of 64,
Adam, cross-entropy, the last epoch. No label beside those that teach is looked at.
"""

import logging
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from hsi_cd.detectors.frontend import fit_frontend, frontend_from_state
from hsi_cd.prepare.measurement import Preparation
from hsi_cd.prepare.windows import read_window
from hsi_cd.progress import progress

log = logging.getLogger(__name__)

_SCALED = Preparation(scaling="minmax", joint=True, projection="none", exact=False)
_AT_ONCE = 512  # patches that are scored together: few enough for a processor's cache, twice as fast as thousands


class PatchNetwork:
    """What peers share: a network on the patch around each pixel of both dates.

    A subclass has ``name``, ``title``, ``reference``, a docstring, ``options`` with ``side`` (of a patch, pixels),
    and :meth:`network`.
    """

    needs_labels, unit, threshold = True, "probability", 0.5
    options: ClassVar = {"side": 5, "epochs": 200, "rate": 0.001}
    ranges: ClassVar = {"side": (1, 33), "epochs": (1, None), "rate": (0, None)}

    def __init__(self, frontend, net, options, device=None):
        # Convolutions of small patches map a third faster with channels last; they do not learn faster.
        net = net.eval().to(device or "cpu", memory_format=torch.channels_last)
        self.frontend, self.net, self.options = frontend, net, options
        self.device = device or torch.device("cpu")

    @staticmethod
    def network(channels, side):
        """A module from ``(N, channels, side, side)`` of both dates to two logits, ``(N, 2)``."""
        raise NotImplementedError

    @staticmethod
    def preparation(options):
        return _SCALED

    @property
    def radius(self):
        return self.options["side"] // 2

    @property
    def bands(self):
        return self.frontend.bands

    @classmethod
    def fit(cls, scene, pixels, target, *, options, seed):
        torch.manual_seed(seed)
        frontend = fit_frontend(scene, _SCALED)
        net = cls.network(frontend.transform.components, options["side"])
        t1, t2 = _patches(scene.pair, frontend, pixels, options["side"])
        known = torch.isfinite(t1.sum(dim=(1, 2, 3)) + t2.sum(dim=(1, 2, 3)))
        t1, t2, target = t1[known], t2[known], torch.as_tensor(target, dtype=torch.long)[known]
        optimiser = torch.optim.Adam(net.parameters(), lr=options["rate"])
        # The paper lowers the rate twenty times, by a tenth each.
        lower = torch.optim.lr_scheduler.StepLR(optimiser, max(1, options["epochs"] // 20), gamma=0.9)
        net.train()
        for _ in progress(range(options["epochs"]), desc=f"train {cls.name}", unit="epoch"):
            for batch in torch.randperm(len(target)).split(64):
                if len(batch) == 1 and len(target) > 1:  # of which batch normalisation learns nothing
                    continue
                loss = functional.cross_entropy(net(t1[batch], t2[batch]), target[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            lower.step()
        log.info("%s: loss of the last batch %.4f", cls.title, float(loss.detach()))
        return cls(frontend, net, dict(options))

    @classmethod
    def from_state(cls, state, *, device=None):
        frontend = frontend_from_state(state["frontend"])
        net = cls.network(frontend.transform.components, int(state["options"]["side"]))
        net.load_state_dict(state["weights"])
        return cls(frontend, net, dict(state["options"]), device)

    def state(self):
        weights = {name: value.cpu() for name, value in self.net.state_dict().items()}
        return {"frontend": self.frontend.state(), "weights": weights, "options": self.options}

    def parameters(self):
        return sum(value.numel() for value in self.net.parameters())

    def score(self, t1, t2):
        """Probabilities of a window, from stored values ``(bands, h + 2 radius, w + 2 radius)``."""
        side = self.options["side"]
        dates = [torch.from_numpy(x)[None] for x in self.frontend.apply(t1, t2)]
        rows, cols = (length - side + 1 for length in dates[0].shape[2:])
        step = max(1, _AT_ONCE // cols)
        found = torch.empty(rows, cols)
        with torch.inference_mode():
            for row in range(0, rows, step):
                height = min(step, rows - row)
                parts = (x[:, :, row : row + height + side - 1] for x in dates)
                cut = [functional.unfold(x, side)[0].T.reshape(height * cols, -1, side, side) for x in parts]
                # A patch with a pixel without data tells nothing: NaN goes through to the score.
                logits = self.net(*(x.to(self.device) for x in cut))
                found[row : row + height] = logits.softmax(dim=1)[:, 1].reshape(height, cols).cpu()
        return found.numpy()

    def probability(self, score):
        return score


def _patches(pair, frontend, pixels, side):
    """The patches of both dates around flat pixel numbers, each ``(N, channels, side, side)``."""
    radius = side // 2
    cut = []
    for pixel in progress(pixels, desc="patches", unit="pixel"):
        row, col = divmod(int(pixel), pair.shape[1])
        window = read_window(pair, slice(row, row + 1), slice(col, col + 1), radius=radius)
        cut.append(frontend.apply(*window))
    return tuple(torch.from_numpy(np.stack(date)) for date in zip(*cut, strict=True))
