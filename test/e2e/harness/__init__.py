# SPDX-License-Identifier: Apache-2.0
"""A private place to run a container runtime in, the runtime itself, and its clients."""
