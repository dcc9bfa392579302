# SPDX-License-Identifier: Apache-2.0
"""What the daemon holds for each container while it runs."""

from collections import Counter

from harness import procs
from harness.case import own_node

MOST_FDS = 12
MANY = 20


def fds(t):
    return Counter(procs.fds_of(t.node.runtime.pid))


@own_node()
def test_descriptors_of_a_container(t):
    pod = t.pod()
    pod.run(["sleep", "1000"])
    one = fds(t)
    for _ in range(MANY):
        pod.run(["sleep", "1000"])
    many = fds(t)
    more = sum(many.values()) - sum(one.values())
    assert more <= MANY * MOST_FDS, \
        f"{more / MANY} descriptors for each container: {(many - one).most_common(8)}"


@own_node()
def test_descriptors_of_a_pod(t):
    pods = [t.pod()]
    pods[0].run(["sleep", "1000"])
    one = fds(t)
    for _ in range(MANY):
        pods.append(t.pod())
        pods[-1].run(["sleep", "1000"])
    many = fds(t)
    more = sum(many.values()) - sum(one.values())
    # Each has a container of its own.
    assert more <= MANY * 2 * MOST_FDS, \
        f"{more / MANY} descriptors for each pod: {(many - one).most_common(8)}"
    print(f"{more / MANY:.1f} descriptors for each pod with a container")
