"""``python -m rurk_core`` is the command ``rurk``."""

import sys

from .cli import main

sys.exit(main())
