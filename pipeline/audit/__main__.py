"""`python -m pipeline.audit` is the command `audit-weights`: see `command.main`."""

import sys

from pipeline.audit.command.main import main

sys.exit(main())
