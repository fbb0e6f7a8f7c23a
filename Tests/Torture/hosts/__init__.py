# SPDX-License-Identifier: Apache-2.0
"""A cluster of many hosts on one machine: each has a network namespace of its own, joined by a bridge."""
