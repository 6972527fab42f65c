"""`python -m pipeline.experiments` lists the DVC experiments: see `listing`."""

import sys

from pipeline.experiments.listing import main

sys.exit(main())
