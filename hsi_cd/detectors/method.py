"""What a method is to the rest of the package: one of its own, or a class of another package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.method_options import CHOICES, RANGES, Range, choose_options
from hsi_cd.prepare.measurement import Preparation


@dataclass(frozen=True)
class Method:
    """A method of change detection; :func:`hsi_cd.methods` lists all.

    A method of your own is a class, in a module that Python can import or that lies in the current folder. It is
    named as ``module:Class`` wherever a method is named (``--method mynets:KAN``, ``hc.detect(pair, "my:Sum")``),
    or by the name that an installed package enters it by in the group ``hsi_cd.methods``. It has

    - ``title`` and ``reference``, text; a docstring, whose first line says what it does;
    - ``needs_labels``, True or False;
    - ``name``, if tables are to call it otherwise than ``module:Class``: letters, digits, ``.``, ``_``, ``+``
      and ``-``;

    and either, to make the Siamese network another one,

    - ``settings``, a mapping of settings of ``model``, ``train`` and ``prepare``, nested or as
      ``{"model.backbone.kind": "mynets:Backbone"}``. A part is a ``torch.nn.Module`` that is made from the
      channels that it sees and, by keyword, from those settings of its section that its signature names.
      Attention and backbone have ``radius``, a backbone ``out_channels``; none pads between pixels. Without
      labels (``needs_labels = False``) the network is taught by pixels of which ``auto`` is certain;

    or, to do without a network,

    - ``fit(scene, *, options=None, seed=0)``, or with labels
      ``fit(scene, pixels, target, *, options=None, seed=0)``: a static or class method that gives a detector.
      ``scene`` is a :class:`hsi_cd.Measurement`: ``scene.pair`` is the scene, ``scene.read(title)`` gives both
      dates block by block, ``hsi_cd.detectors.frontend.fit_frontend(scene, how)`` what turns stored values into
      standardised or projected, registered components. ``pixels`` are flat indices of the labelled pixels that
      teach, int64 ``(n,)``, and ``target`` their classes, 0 unchanged, 1 changed;
    - ``from_state(state, *, device=None)``, likewise: the same detector, from what its ``state()`` gave;
    - ``options``, if it has any: a mapping of names to default values (text, numbers, True or False), which
      ``--set options.NAME=VALUE`` changes (``--set NAME=VALUE`` of ``hsi-cd detect``); ``fit`` is given all;
    - ``ranges``, if its numbers have any: a mapping of names of options to the least and the greatest number
      allowed, each None for no bound;
    - ``preparation(options)``, if it takes components: the
      :class:`~hsi_cd.prepare.measurement.Preparation` of its front end or None, so that a run measures the scene
      as ``fit`` will ask for it.

    A detector keeps to :class:`hsi_cd.detectors.base.Detector`: ``radius``, ``bands``, ``unit``, ``threshold``,
    ``score(t1, t2)``, ``probability(score)``, ``parameters()`` and ``state()``. A score depends on the pixels
    within ``radius`` and on what ``fit`` froze, on nothing else; it is NaN where either date has no data.
    ``state()`` holds tensors and plain values alone. All of this is tried when it has been fitted, and what is
    missing is said.

    Attributes:
        name: what the command line calls it.
        title: what a text calls it.
        summary: one line on what it does.
        reference: where it comes from, with a DOI where there is one.
        needs_labels: whether it learns from labelled pixels.
        fit: as above; None for a network, which the training loop fits.
        from_state: as above.
        options: its options with their defaults.
        ranges: what the numbers among them may be.
        preparation: from its options to how it has spectra prepared; None where it takes them as they are.
        settings: of a network: the settings of a run that make it this method, nested as in a configuration.
        own_name: of a method of another package: the ``name`` of its class; empty without one.
        place: of a method of another package: where its class is, as ``module:Class``.
        fit_kinds: ``fit_kinds(detector, scene, pixels, kinds, *, table, seed)`` gives what ``fit`` gave with the
            kinds of change that changed pixels teach as its ``kinds``; None for methods that learn none, and for
            the network, whose training does it.
    """

    name: str
    title: str
    summary: str
    reference: str
    needs_labels: bool
    fit: Callable[..., Detector] | None
    from_state: Callable[..., Detector]
    options: Mapping[str, Any] = field(default_factory=dict)
    preparation: Callable[[Mapping[str, Any]], Preparation | None] = lambda options: None
    settings: Mapping[str, Any] = field(default_factory=dict)
    own_name: str = ""
    place: str = ""
    ranges: Mapping[str, Range] = field(default_factory=lambda: RANGES)
    fit_kinds: Callable[..., Detector] | None = None

    @property
    def row(self) -> str:
        """What tables call it."""
        return self.own_name or self.name

    def choose(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """All its options: their defaults, with those that a user gave.

        Raises:
            UnknownNameError: there is no such option.
            ConfigError: an option has a value of another type than its default, or out of its range.
        """
        choices = {} if self.place else CHOICES  # another package's names are its own
        return choose_options(options, self.options, method=self.name, ranges=self.ranges, choices=choices)
