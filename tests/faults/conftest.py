"""Makes the faults' modules importable: `faults.py` runs as a script, beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
