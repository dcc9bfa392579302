# SPDX-License-Identifier: Apache-2.0
"""busybox_layout.py LAYOUT NAME: one small image out of this machine's busybox, for hack/up."""

import sys

from busybox_tree import busybox, find_static_busybox
from oci import Layout


def main(path, name):
    program, static = find_static_busybox()
    layout = Layout(path)
    layer = layout.layer(busybox(program, static).done())
    config = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
    print(layout.image([layer], config, names=[name])["digest"])


if __name__ == "__main__":
    main(*sys.argv[1:3])
