"""``python -m hsi_cd`` is the command ``hsi-cd``."""

from hsi_cd.cli.main import main

if __name__ == "__main__":
    main()
