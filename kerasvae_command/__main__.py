import sys

from kerasvae_command import main

sys.exit(main())
