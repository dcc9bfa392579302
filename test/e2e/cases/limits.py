# SPDX-License-Identifier: Apache-2.0
"""A storage root that is too small. Each case has a node whose root is a small tmpfs."""

import gzip
import os

from cases.pulls import pulled, refused
from harness import wait
from harness.case import own_node
from oci import LAYER, Tree, sha256

MIB = 1 << 20


@own_node(root_size="48m")
def test_disk_full_during_a_pull(t):
    with t.registry() as registry:
        reference = registry.image("big", Tree().file("data", os.urandom(60 * MIB)).done())
        refused(t, reference, "ResourceExhausted", part="space")
        pulled(t, registry.small("small"))


@own_node(root_size="48m")
def test_gzip_bomb(t):
    """A gigabyte of zeros in a megabyte."""
    with t.registry() as registry:
        tar = Tree().file("zeros", bytes(1 << 30)).done()
        packed = gzip.compress(tar, 9, mtime=0)
        assert len(packed) < 2 * MIB
        layer = registry.layout.blob(packed, LAYER)
        reference = registry.publish("bomb", registry.layout.image([(layer, sha256(tar))]))
        del tar
        refused(t, reference, "ResourceExhausted|DataLoss")
        pulled(t, registry.small("small"))


@own_node(config="[images]\nmax_layer_bytes = 16777216\nmax_layer_inodes = 1000\n")
def test_caps_on_layers(t):
    with t.registry() as registry:
        reference = registry.image("big", Tree().file("zeros", bytes(20 * MIB)).done())
        refused(t, reference, "ResourceExhausted|DataLoss|InvalidArgument")
        tree = Tree()
        for number in range(1100):
            tree.file(f"f{number}")
        refused(t, registry.image("many", tree.done()), "ResourceExhausted|DataLoss|InvalidArgument")
        pulled(t, registry.small("small"))


@own_node(root_size="48m")
def test_disk_full_by_a_container(t):
    """A container that fills the disk hurts itself: others run, log and end with their codes."""
    pod = t.pod()
    greedy = pod.run(["sh", "-c", "cat /dev/zero >/fill; echo full; exec sleep 1000"])
    wait.until(lambda: "full" in greedy.log_text(), 60, "the disk to be full")
    t.fails("ResourceExhausted|Unavailable|Internal|Unknown", "PullImage",
            {"image": {"image": "registry.k8s.io/e2e-test-images/nginx:1.14-2"}})
    assert greedy.output("echo", "alive") == "alive\n"
    greedy.remove()
    container = pod.run(["sh", "-c", "exit 5"])
    assert container.wait()["exitCode"] == 5
