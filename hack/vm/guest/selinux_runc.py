# SPDX-License-Identifier: Apache-2.0
"""SELinux around containers that Debian's runc makes, which wants the driver cgroupfs."""

from selinux import FILE, SLEEP, asked, inside, label_of, level


def test_labels(t):
    t.handler = "runc"
    container = t.pod(linux=asked(level="s0:c1,c2")).run(SLEEP)
    assert level(container) == "s0:c1,c2"
    for path in ("/", "/bin/busybox", "/dev/null", "/dev/mqueue", "/etc/hosts"):
        found = label_of(inside(container, path))
        assert found == f"{FILE}:s0:c1,c2", (path, found)
