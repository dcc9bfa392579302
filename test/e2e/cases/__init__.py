# SPDX-License-Identifier: Apache-2.0
"""The end-to-end cases: every function test_NAME(t) of every module here."""
