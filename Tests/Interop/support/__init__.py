# SPDX-License-Identifier: Apache-2.0
"""What the interop tests, the torture and the benchmarks share."""

import os
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "lib"))
