# SPDX-License-Identifier: Apache-2.0
"""The root file system that most test images share, out of this machine's own programs."""

import os
import re
import subprocess

from oci import Tree

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n"

# busybox has neither of these two.
PGREP = """#!/bin/sh
for comm in /proc/[0-9]*/comm; do
  read -r name <"$comm" || continue
  case "$name" in *"$1"*) dir=${comm%/comm}; echo "${dir#/proc/}" ;; esac
done 2>/dev/null
"""
IPCS = """#!/bin/sh
echo "------ Shared Memory Segments --------"
echo "key shmid owner perms bytes"
while read -r key id perms size rest; do
  [ "$key" = key ] || echo "$key $id root $perms $size"
done </proc/sysvipc/shm
"""


def libraries(program):
    """What the dynamic linker loads for a program, the linker itself included."""
    output = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(?:=> )?(/\S+) \(0x", output)


def add_program(tree, source, path):
    """Adds a program of this machine and the libraries it needs."""
    tree.copy(source, path)
    for library in libraries(source):
        if library not in tree.libraries:
            tree.libraries.add(library)
            tree.copy(library)


def new_tree():
    tree = Tree()
    tree.libraries = set()
    return tree


def busybox(program, static):
    """A tree with the given busybox. Applets are hard links: a mask over one name must not hide
    the others, and hiding the target of a symbolic link would."""
    tree = new_tree()
    for path, mode in (("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("root", 0o700),
                       ("home", 0o755), ("tmp", 0o1777), ("var/run", 0o755), ("var/log", 0o755),
                       ("run", 0o755), ("usr/bin", 0o755), ("usr/sbin", 0o755), ("sbin", 0o755)):
        tree.dir(path, mode)
    if static:
        tree.copy(program, "bin/busybox")
    else:
        add_program(tree, program, "bin/busybox")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
    for applet in applets.split():
        if applet not in ("busybox", "pgrep", "ipcs"):
            tree.hardlink("bin/" + applet, "bin/busybox")
    tree.file("bin/pgrep", PGREP, mode=0o755)
    tree.file("bin/ipcs", IPCS, mode=0o755)
    tree.file("etc/passwd", PASSWD).file("etc/group", GROUP)
    tree.file("etc/hosts", "127.0.0.1 localhost\n")
    return tree


def find_static_busybox():
    """Any busybox of this machine, and whether it is a static one."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.access(path, os.X_OK):
            run = subprocess.run(["ldd", path], capture_output=True, text=True)
            return path, run.returncode != 0
    raise SystemExit("no busybox on this machine (package busybox-static)")
