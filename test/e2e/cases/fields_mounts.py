# SPDX-License-Identifier: Apache-2.0
"""ContainerConfig.mounts and the image's volumes: every field does what it says."""

import contextlib
import os
import subprocess

from cases.hostile_layers import busybox_tar
from cases.pulls import pulled
from harness import wait
from oci import Tree


def refused(t, pod, mount, code, part):
    return t.fails(code, "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "bad"}, "image": {"image": t.busybox}, "linux": {},
                   "command": ["true"], "mounts": [mount]}}, part=part)


@contextlib.contextmanager
def tmpfs(path, propagation="private"):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
    try:
        subprocess.run(["mount", f"--make-{propagation}", path], check=True)
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def options_of(container):
    """The options of each mount point, as the container sees them."""
    return {line.split()[1]: set(line.split()[3].split(","))
            for line in container.output("cat", "/proc/mounts").splitlines()}


def test_mount_options(t):
    source = os.path.join(t.tmp, "source")
    os.mkdir(source)
    pod = t.pod()
    container = pod.run(["sleep", "1000"], mounts=[
        {"hostPath": source, "containerPath": "/plain"},
        {"hostPath": source, "containerPath": "/all",
         "mountOptions": ["noexec", "nodev", "nosuid"]},
        {"hostPath": source, "containerPath": "/ro", "readonly": True,
         "mountOptions": ["noexec"]}])
    found = options_of(container)
    assert {"noexec", "nodev", "nosuid", "rw"} <= found["/all"], found
    assert {"noexec", "ro"} <= found["/ro"] and "noexec" not in found["/plain"], found
    container.output("sh", "-c", "cp /bin/true /plain/true; /plain/true")
    t.fails("PermissionDenied", "ExecSync", {"containerId": container.id, "cmd": ["/all/true"]})
    for option in ("suid", "bind", "", "NOEXEC", "ro,noexec"):
        refused(t, pod, {"hostPath": source, "containerPath": "/x", "mountOptions": [option]},
                "InvalidArgument", "mount_options")


def test_recursive_read_only(t):
    source = os.path.join(t.tmp, "source")
    pod = t.pod()
    with tmpfs(source), tmpfs(os.path.join(source, "below")):
        container = pod.run(["sleep", "1000"], mounts=[
            {"hostPath": source, "containerPath": "/flat", "readonly": True},
            {"hostPath": source, "containerPath": "/deep", "readonly": True,
             "recursiveReadOnly": True}])
        container.output("touch", "/flat/below/file")
        assert container.exec("touch", "/flat/file")[0] != 0
        assert container.exec("touch", "/deep/file")[0] != 0
        code, _, err = container.exec("touch", "/deep/below/other")
        assert code != 0 and "Read-only" in err, err
        assert container.status["mounts"][1]["recursiveReadOnly"], container.status
        container.remove()
    for fields in ({}, {"readonly": True, "propagation": "PROPAGATION_HOST_TO_CONTAINER"},
                   {"readonly": True, "propagation": "PROPAGATION_BIDIRECTIONAL"}):
        refused(t, pod, dict({"hostPath": t.tmp, "containerPath": "/x",
                              "recursiveReadOnly": True}, **fields),
                "InvalidArgument", "recursive_read_only")


def test_propagation_needs_a_shared_source(t):
    source = os.path.join(t.tmp, "source")
    pod = t.pod()
    with tmpfs(source, "private"):
        for kind in ("PROPAGATION_HOST_TO_CONTAINER", "PROPAGATION_BIDIRECTIONAL"):
            message = refused(t, pod, {"hostPath": source, "containerPath": "/x",
                                       "propagation": kind}, "FailedPrecondition", "shared")
            assert source in message, message
    with tmpfs(source, "shared"):
        container = pod.run(["sleep", "1000"], mounts=[
            {"hostPath": source, "containerPath": "/slave",
             "propagation": "PROPAGATION_HOST_TO_CONTAINER"},
            {"hostPath": source, "containerPath": "/private"}])
        with tmpfs(os.path.join(source, "later")):
            found = wait.until(lambda: options_of(container), 5, "mounts")
            assert "/slave/later" in found and "/private/later" not in found, found
        assert "/slave/later" not in options_of(container)
        container.remove()


def test_mounts_are_nested_by_depth(t):
    outer, inner = os.path.join(t.tmp, "outer"), os.path.join(t.tmp, "inner")
    for path in (outer, inner):
        os.mkdir(path)
        with open(os.path.join(path, "name"), "w", encoding="utf-8") as f:
            f.write(os.path.basename(path))
    container = t.pod().run(["sleep", "1000"], mounts=[
        {"hostPath": inner, "containerPath": "/data/a/b/"},
        {"hostPath": os.path.join(inner, "name"), "containerPath": "/data/one"},
        {"hostPath": outer, "containerPath": "data"}])
    assert container.output("cat", "/data/name", "/data/a/b/name", "/data/one") == "outerinnerinner"
    assert [mount["containerPath"] for mount in container.status["mounts"]] == [
        "/data/a/b/", "/data/one", "data"], container.status["mounts"]


def test_mounts_replace_defaults(t):
    hosts = os.path.join(t.tmp, "hosts")
    with open(hosts, "w", encoding="utf-8") as f:
        f.write("10.9.8.7 elsewhere\n")
    shm = os.path.join(t.tmp, "shm")
    os.mkdir(shm)
    pod = t.pod()
    container = pod.run(["sleep", "1000"], mounts=[
        {"hostPath": hosts, "containerPath": "/etc/hosts"},
        {"hostPath": shm, "containerPath": "/dev/shm"}])
    assert container.output("cat", "/etc/hosts") == "10.9.8.7 elsewhere\n"
    container.output("touch", "/dev/shm/here")
    assert os.path.exists(os.path.join(shm, "here"))
    container.output("sh", "-c", "echo x >/dev/null")
    devices = pod.run(["sleep", "1000"], mounts=[
        {"hostPath": "/dev", "containerPath": "/dev"},
        {"hostPath": "/sys", "containerPath": "/sys", "readonly": True}])
    mounts = [line.split()[1] for line in devices.output("cat", "/proc/mounts").splitlines()]
    assert mounts.count("/dev") == 1 and mounts.count("/sys") == 1, mounts
    devices.output("sh", "-c", "echo x >/dev/null")
    refused(t, pod, {"hostPath": shm, "containerPath": "/"}, "InvalidArgument", "container_path")


def test_mounts_are_echoed(t):
    real, link = os.path.join(t.tmp, "real"), os.path.join(t.tmp, "link")
    os.mkdir(real)
    os.symlink(real, link)
    mounts = [
        {"hostPath": link, "containerPath": "/a"},
        {"hostPath": f"{t.tmp}//real/.", "containerPath": "b//c/", "readonly": True},
        {"hostPath": real, "containerPath": "/dev/termination-log", "selinuxRelabel": True,
         "mountOptions": ["nodev"]}]
    container = t.pod().run(["sleep", "1000"], mounts=mounts)
    echoed = [{key: value for key, value in mount.items()
               if value and value != "PROPAGATION_PRIVATE"}
              for mount in container.status["mounts"]]
    assert echoed == mounts, echoed
    container.output("touch", "/a/file")
    assert container.output("ls", "/b/c").split() == ["file"] == os.listdir(real)


def test_volumes_of_the_image(t):
    """Fresh for each container, filled by the image, writable whatever the root is."""
    tree = Tree().dir("data", mode=0o770, uid=7, gid=8).file("data/seed", b"seed", uid=7)
    tree.symlink("link", "/other").dir("other")
    config = {"Volumes": {"/data": {}, "/made/here": {}, "/link": {}, "/mine": {}}}
    mine = os.path.join(t.tmp, "mine")
    os.mkdir(mine)
    with t.registry() as registry:
        base = registry.layout.layer(busybox_tar(t))
        reference = registry.image("volumes", tree.done(), base=[base], config=config)
        pulled(t, reference)
    pod = t.pod()
    for root in (True, False):
        container = pod.run(["sleep", "1000"], image=reference,
                            mounts=[{"hostPath": mine, "containerPath": "/mine"}],
                            linux={"securityContext": {"readonlyRootfs": root}})
        assert container.output("ls", "/data").split() == ["seed"]
        assert container.output("stat", "-c", "%a %u %g", "/data") == "770 7 8\n"
        container.output("touch", "/data/new", "/made/here/new", "/link/new", "/mine/new")
        assert container.output("ls", "/other") == "new\n"
        assert (container.exec("touch", "/made/new")[0] != 0) == root
        assert "/made/here" in options_of(container)
    assert os.listdir(mine) == ["new"]
