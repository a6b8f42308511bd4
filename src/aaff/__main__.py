"""``python -m aaff`` is the command ``aaff``."""

from __future__ import annotations

import sys

from aaff.cli import main

if __name__ == "__main__":
    sys.exit(main())
