"""`python -m pipeline.theory` answers what theory says of an activation: see `phases`."""

import sys

from pipeline.theory.phases import main

sys.exit(main())
