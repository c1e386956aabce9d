"""`python -m kerasvae`: the command `kerasvae`."""

import sys

from kerasvae.cli import main

sys.exit(main())
