# SPDX-License-Identifier: Apache-2.0
"""ContainerConfig.devices: every field does what it says."""

import os
import stat

from cases.fields_container import refused
from harness.case import own_node

IDS = [{"hostId": 1 << 20, "containerId": 0, "length": 65536}]


def make(path, minor=5, mode=0o640, owner=(7, 8)):
    """Another name of /dev/zero or /dev/full on the node, with an owner."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mknod(path, stat.S_IFCHR | mode, os.makedev(1, minor))
    os.chmod(path, mode)
    os.chown(path, *owner)


def shown(container, path):
    """type and number, mode, owner"""
    return container.output("stat", "-c", "%t:%T %a %u:%g", path).strip()


def test_a_node_as_on_the_host(t):
    source = os.path.join(t.tmp, "node")
    make(source)
    link = os.path.join(t.tmp, "link")
    os.symlink(source, link)
    container = t.pod().run(["sleep", "1000"], devices=[
        {"hostPath": source, "containerPath": "/dev/deep/mine", "permissions": "rwm"},
        {"hostPath": link, "containerPath": "/dev/linked", "permissions": "r"},
        {"hostPath": "/dev/null", "containerPath": "/dev/null"}])
    for path in ("/dev/deep/mine", "/dev/linked"):
        assert shown(container, path) == "1:5 640 7:8", shown(container, path)
        assert container.output("sh", "-c", f"head -c 3 {path} | wc -c") == "3\n"


def test_permissions(t):
    """The subset is the cgroup's; /dev/fuse is no device that every container may use."""
    pod = t.pod()
    for permissions, may in (("r", (True, False)), ("w", (False, True)), ("rw", (True, True)),
                             ("m", (False, False)), ("", (True, True)), ("wr", (True, True))):
        container = pod.run(["sleep", "1000"], devices=[
            {"hostPath": "/dev/fuse", "containerPath": "/dev/fuse", "permissions": permissions}])
        found = tuple("not permitted" not in container.exec("sh", "-c", f": {sign} /dev/fuse")[2]
                      for sign in ("<", ">"))
        assert found == may, (permissions, found)
        container.remove()
    none = pod.run(["sh", "-c", "mknod /fuse c 10 229 && : </fuse"])
    assert none.wait()["exitCode"] != 0
    none.remove()
    for permissions in ("x", "rwx", "R", "rwmr", " "):
        refused(t, pod, "config.devices[0].permissions",
                devices=[{"hostPath": "/dev/fuse", "permissions": permissions}])


def test_a_directory_is_all_nodes_below_it(t):
    top = os.path.join(t.tmp, "devices")
    make(os.path.join(top, "one"))
    make(os.path.join(top, "below/two"), minor=7)
    os.symlink("one", os.path.join(top, "link"))
    with open(os.path.join(top, "file"), "w", encoding="utf-8"):
        pass
    link = os.path.join(t.tmp, "link")
    os.symlink(top, link)
    pod = t.pod()
    for source in (top, link):
        container = pod.run(["sleep", "1000"], devices=[
            {"hostPath": source, "containerPath": "/dev/all", "permissions": "rw"}])
        nodes = container.output("find", "/dev/all", "-type", "c").split()
        assert sorted(nodes) == ["/dev/all/below/two", "/dev/all/one"], nodes
        assert shown(container, "/dev/all/below/two") == "1:7 640 7:8"
        assert container.exec("ls", "/dev/all/file")[0] != 0


def test_outside_of_dev(t):
    source = os.path.join(t.tmp, "node")
    make(source)
    container = t.pod().run(["sleep", "1000"], devices=[
        {"hostPath": source, "containerPath": "/srv/deep/node", "permissions": "r"}],
        linux={"securityContext": {"readonlyRootfs": True}})
    assert shown(container, "/srv/deep/node") == "1:5 640 7:8"
    assert container.output("sh", "-c", "head -c 3 /srv/deep/node | wc -c") == "3\n"


def test_in_a_user_namespace(t):
    source = os.path.join(t.tmp, "node")
    make(source, mode=0o666)
    namespaces = {"pid": "CONTAINER", "usernsOptions": {"mode": "POD", "uids": IDS, "gids": IDS}}
    security = {"securityContext": {"namespaceOptions": namespaces}}
    container = t.pod(linux=security).run(["sleep", "1000"], linux=security, devices=[
        {"hostPath": source, "containerPath": "/dev/mine", "permissions": "rw"},
        {"hostPath": source, "containerPath": "/srv/mine", "permissions": "rw"}])
    for path in ("/dev/mine", "/srv/mine"):
        # The owner on the node is nobody in there.
        assert shown(container, path) == "1:5 666 65534:65534", shown(container, path)
        assert container.output("sh", "-c", f"head -c 3 {path} | wc -c") == "3\n"


def test_privileged_containers_have_all_and_their_own(t):
    source = os.path.join(t.tmp, "node")
    make(source)
    security = {"securityContext": {"privileged": True}}
    container = t.pod(linux=security).run(["sleep", "1000"], linux=security, devices=[
        {"hostPath": source, "containerPath": "/dev/mine"}])
    assert shown(container, "/dev/mine") == "1:5 640 7:8"
    info = os.stat("/dev/fuse")
    assert shown(container, "/dev/fuse").startswith(
        f"{os.major(info.st_rdev):x}:{os.minor(info.st_rdev):x} ")


@own_node(config="[handlers.owning]\ndevice_ownership_from_security_context = true\n")
def test_owners_by_the_security_context(t):
    source = os.path.join(t.tmp, "node")
    make(source, mode=0o600)
    devices = [{"hostPath": source, "containerPath": "/dev/mine", "permissions": "rw"}]
    user = {"securityContext": {"runAsUser": {"value": "99"}, "runAsGroup": {"value": "98"}}}
    plain = t.pod().run(["sleep", "1000"], linux=user, devices=devices)
    assert shown(plain, "/dev/mine") == "1:5 600 7:8"
    t.handler = "owning"
    pod = t.pod()
    owned = pod.run(["sleep", "1000"], linux=user, devices=devices)
    assert shown(owned, "/dev/mine") == "1:5 600 99:98"
    assert owned.output("sh", "-c", "head -c 3 /dev/mine | wc -c") == "3\n"
    assert shown(pod.run(["sleep", "1000"], devices=devices), "/dev/mine") == "1:5 600 7:8"


def test_refusals(t):
    pod = t.pod()
    for device, part, code in (
            ({"hostPath": ""}, "host_path", "InvalidArgument"),
            ({"hostPath": "dev/null"}, "host_path", "InvalidArgument"),
            ({"hostPath": "/dev/no-such"}, "host_path", "NotFound"),
            ({"hostPath": "/etc/passwd"}, "host_path", "InvalidArgument"),
            ({"hostPath": "/dev/zero", "containerPath": "dev/x"}, "container_path",
             "InvalidArgument"),
            ({"hostPath": "/dev/zero", "containerPath": "/dev/../x"}, "container_path",
             "InvalidArgument"),
            ({"hostPath": "/dev/zero", "containerPath": "/dev/null"}, "container_path",
             "InvalidArgument"),
            ({"hostPath": "/dev/zero", "containerPath": "/dev/pts/0"}, "container_path",
             "InvalidArgument")):
        refused(t, pod, f"config.devices[0].{part}", code=code, devices=[device])
