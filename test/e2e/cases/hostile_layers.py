# SPDX-License-Identifier: Apache-2.0
"""Layers that try to leave their directory, and layers with everything that layers may hold.

Whether such an image is refused or its entry is confined, nothing outside of it may change."""

import os
import tarfile
import threading

from cases.pulls import pulled
from harness import procs
from harness.client import CallError
from oci import Tree

REG, DIR, SYM, LNK, CHR, FIFO = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE,
                                 tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)


def harmless(t, name, *layers):
    """Pulls an image of the layers, which may fail cleanly; /victim on the node stays as it was."""
    victim = "/run/victim"
    with open(victim, "w", encoding="ascii") as f:
        f.write("untouched")
    try:
        with t.registry() as registry:
            reference = registry.image(name, *layers)
            try:
                pulled(t, reference)
            except CallError as error:
                assert error.code in ("DataLoss", "InvalidArgument", "ResourceExhausted"), error
        with open(victim, encoding="ascii") as f:
            assert f.read() == "untouched", "a file of the node was written to"
        status = os.stat(victim)
        assert status.st_nlink == 1, "a file of the node was linked to"
        assert status.st_uid == 0 and status.st_mode & 0o7777 == 0o644, oct(status.st_mode)
        assert not os.path.exists("/run/escaped"), "a file was made on the node"
    finally:
        for path in (victim, "/run/escaped"):
            if os.path.lexists(path):
                os.unlink(path)


def raw():
    return Tree(parents=False)


UP = "../" * 30


def test_dot_dot(t):
    for name in (UP + "run/escaped", "a/../" + UP + "run/escaped", UP + "run/victim"):
        harmless(t, "x", raw().entry(name, REG, b"evil").done())


def test_absolute(t):
    for name in ("/run/escaped", "//run/escaped", "/run/victim", "/../run/victim"):
        harmless(t, "x", raw().entry(name, REG, b"evil").done())


def test_through_a_symlink(t):
    for target in ("/run", UP + "run", "/proc/1/root/run", "/proc/self/cwd" + UP + "run"):
        harmless(t, "x", raw().entry("link", SYM, link=target)
                 .entry("link/victim", REG, b"evil").entry("link/escaped", REG, b"evil").done())


def test_through_a_symlink_of_a_lower_layer(t):
    harmless(t, "x", raw().entry("link", SYM, link="/run").done(),
             raw().entry("link/victim", REG, b"evil").entry("link/escaped", REG, b"evil").done())


def test_symlink_replaced_within_a_layer(t):
    harmless(t, "x", raw().entry("a", DIR, mode=0o755).entry("a", SYM, link="/run")
             .entry("a/escaped", REG, b"evil").entry("a/victim", REG, b"evil").done())


def test_hard_links(t):
    for target in ("/run/victim", UP + "run/victim", "link/victim"):
        harmless(t, "x", raw().entry("link", SYM, link="/run").entry("hard", LNK, link=target)
                 .entry("hard", REG, b"evil").done())


def test_hard_link_to_a_symlink_then_write(t):
    harmless(t, "x", raw().entry("link", SYM, link="/run/victim").entry("hard", LNK, link="link")
             .entry("hard", REG, b"evil").done())


def test_whiteouts_outside(t):
    for name in (UP + "run/.wh.victim", "link/.wh.victim", ".wh.." + "/run/victim", ".wh..",
                 ".wh.", "link/.wh..wh..opq"):
        harmless(t, "x", raw().entry("link", SYM, link="/run").entry(name, REG).done())


def test_names_that_are_no_names(t):
    for name in ("", ".", "..", "a/\x01\x02", "a" * 300, "d/" * 3000 + "f", "\udcff"):
        try:
            tar = raw().entry(name, REG, b"x").done()
        except UnicodeError:
            continue
        harmless(t, "x", tar)


def test_bad_pax_attributes(t):
    for key, value in (("SCHILY.xattr.trusted.overlay.opaque", "y"), ("SCHILY.xattr.", "x"),
                       ("SCHILY.xattr.user." + "n" * 300, "x"), ("size", "99999999999999"),
                       ("path", UP + "run/escaped"), ("linkpath", "/run/victim"),
                       ("SCHILY.xattr.trusted.overlay.redirect", "/../../../run")):
        harmless(t, "x", raw().entry("file", REG, b"x", pax={key: value}).done())


def test_device_of_the_disk_is_not_usable(t):
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        tree = raw().entry("disk", tarfile.BLKTYPE, device=(254, 0), mode=0o666)
        tree.entry("memory", CHR, device=(1, 1), mode=0o666).entry("pipe", FIFO)
        reference = registry.image("x", tree.done(), base=[base])
        pulled(t, reference)
        container = t.pod().run(["sleep", "1000"], image=reference)
        for name in ("disk", "memory"):
            code, _, error = container.exec("head", "-c", "1", "/" + name)
            assert code != 0 and "not permitted" in error.lower(), (name, code, error)


def busybox_tar(t):
    from busybox_tree import busybox, find_static_busybox
    return busybox(*find_static_busybox()).done()


def test_unpacker_is_confined(t):
    """What /proc says of the unpacker while it works: capabilities, filter and mounts."""
    allowed = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "SYS_ADMIN": 21,
               "MKNOD": 27, "SETFCAP": 31}
    mask = sum(1 << bit for bit in allowed.values())
    seen = []
    done = threading.Event()

    def watch():
        while not done.wait(0.001):
            for pid in procs.pids():
                if procs.name_of(pid) == "berth-unpack":
                    status = procs.read(f"/proc/{pid}/status")
                    rows = dict(line.split(":\t", 1) for line in status.splitlines()
                                if ":\t" in line)
                    mounts = procs.read(f"/proc/{pid}/mountinfo").splitlines()
                    # A process that ends meanwhile shows nothing more.
                    if "Seccomp" in rows and mounts:
                        seen.append((rows, mounts))

    with t.registry() as registry:
        tree = Tree()
        for number in range(5000):
            tree.file(f"d{number % 100}/f{number}", str(number))
        reference = registry.image("x", tree.done())
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            pulled(t, reference)
        finally:
            done.set()
            watcher.join()
    # The first and last moments belong to its start and its end.
    confined = [row for row in seen if row[0]["Seccomp"].strip() == "2"]
    assert len(confined) > 3, f"seen {len(seen)} times, confined {len(confined)} times"
    for rows, mounts in confined:
        assert int(rows["CapEff"], 16) & ~mask == 0, rows["CapEff"]
        assert int(rows["CapBnd"], 16) & ~mask == 0, rows["CapBnd"]
        assert rows["NoNewPrivs"].strip() == "1", rows
        assert len(mounts) == 1, mounts
        options = mounts[0].split()[5].split(",")
        assert {"nodev", "nosuid", "noexec"} <= set(options), mounts


def test_whiteouts_and_opaque_directories(t):
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        lower = Tree().file("d/one", "1").file("d/two", "2").file("o/old", "x").file("gone", "g")
        upper = Tree().file("d/.wh.one").file("o/.wh..wh..opq").file("o/new", "y").file(".wh.gone")
        reference = registry.image("x", lower.done(), upper.done(), base=[base])
        pulled(t, reference)
        container = t.pod().run(["sleep", "1000"], image=reference)
        assert container.output("ls", "/d") == "two\n"
        assert container.output("ls", "/o") == "new\n"
        assert container.exec("ls", "/gone")[0] != 0


def test_attributes_are_kept(t):
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        tree = Tree().file("file", "text", mode=0o4755, uid=1234, gid=5678,
                           pax={"SCHILY.xattr.user.key": "value"})
        tree.hardlink("twin", "file", mode=0o4755, uid=1234, gid=5678).symlink("soft", "file").dir("sticky", 0o1777)
        tree.entry("null", CHR, device=(1, 3), mode=0o666)
        reference = registry.image("x", tree.done(), base=[base])
        pulled(t, reference)
        container = t.pod().run(["sleep", "1000"], image=reference)
        assert container.output("stat", "-c", "%a %u %g %h", "/file") == "4755 1234 5678 2\n"
        assert container.output("readlink", "/soft") == "file\n"
        assert container.output("stat", "-c", "%a", "/sticky") == "1777\n"
        assert container.output("stat", "-c", "%F %t %T", "/null") == \
            "character special file 1 3\n"
        rootfs = f"/proc/{container.pid}/root"
        assert os.getxattr(rootfs + "/file", "user.key") == b"value"


def test_many_layers(t):
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        layers = [Tree().file(f"n/{number}", str(number)).done() for number in range(100)]
        reference = registry.image("x", *layers, base=[base])
        pulled(t, reference)
        container = t.pod().run(["sleep", "1000"], image=reference)
        assert len(container.output("ls", "/n").split()) == 100


def test_config_is_no_control_input(t):
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        reference = registry.image("x", base=[base], config={
            "Cmd": ["sleep", "1000"], "User": "0", "Labels": {"io.kubernetes.cri.x": "1"},
            "Env": ["LD_PRELOAD=/x", "NOEQUALS", "A=1"], "WorkingDir": "/../../made/here"})
        pulled(t, reference)
        container = t.pod().run(image=reference)
        assert container.output("pwd") == "/made/here\n"
        assert not os.path.exists("/made")


def test_user_that_is_not_in_the_image(t):
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        reference = registry.image("x", base=[base], config={"Cmd": ["true"], "User": "nobody2"})
        pulled(t, reference)
        pod = t.pod()
        try:
            container = pod.create(image=reference)
        except CallError as error:
            assert "nobody2" in error.message, error
            return
        t.fails("InvalidArgument|NotFound|FailedPrecondition|Unknown", "StartContainer",
                {"containerId": container.id}, part="nobody2")
