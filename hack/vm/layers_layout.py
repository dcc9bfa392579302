# SPDX-License-Identifier: Apache-2.0
"""layers_layout.py LAYOUT NAME COUNT: busybox below COUNT layers of one file each, /layers/N."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "images"))

from busybox_tree import busybox, find_static_busybox  # noqa: E402
from oci import Layout, Tree  # noqa: E402


def main(path, name, count):
    program, static = find_static_busybox()
    layout = Layout(path)
    layers = [layout.layer(busybox(program, static).done())]
    for number in range(1, int(count)):
        layers.append(layout.layer(Tree().file(f"/layers/{number}", f"{number}\n").done()))
    layers.append(layout.layer(Tree().file(f"/layers/{count}", f"{count}\n").done()))
    config = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
    print(layout.image(layers, config, names=[name])["digest"])


if __name__ == "__main__":
    main(*sys.argv[1:4])
