"""`python -m dagbook`: the `dagbook` command, for environments without it on the path."""

import sys

from dagbook.cli import main

sys.exit(main())
