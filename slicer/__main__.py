"""``python -m slicer`` is the command line."""

import sys

from slicer.cli import main

sys.exit(main())
