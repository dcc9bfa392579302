# SPDX-License-Identifier: Apache-2.0
"""Waiting for what another process does."""

import socket
import time


def until(condition, seconds, what):
    """Waits until condition() is true and returns its value; an AssertionError after the bound."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.005)


def connects(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False
