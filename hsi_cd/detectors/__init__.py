"""Methods of change detection behind one interface. See :class:`hsi_cd.detectors.base.Detector`."""
