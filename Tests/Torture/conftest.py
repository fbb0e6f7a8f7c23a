# SPDX-License-Identifier: Apache-2.0
"""Where the torture's modules find those of the interop tests, as `run.sh` has it."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "Interop"))
