"""What a notebook and the command line both call; the names of :mod:`hsi_cd` come from here."""
