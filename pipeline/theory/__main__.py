"""`python -m pipeline.theory` prints the predictions of theory for an activation; see `phases`."""

import sys

from pipeline.theory.phases import main

sys.exit(main())
