# SPDX-License-Identifier: Apache-2.0
"""What users of a Kubernetes do with it."""
