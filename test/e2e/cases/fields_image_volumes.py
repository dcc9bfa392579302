# SPDX-License-Identifier: Apache-2.0
"""Images as volumes (Mount.image): what is mounted, what is refused, what keeps the content."""

from cases.pulls import pulled
from harness.case import own_node
from oci import Tree


def volume(reference, path="/data", **fields):
    return dict({"containerPath": path, "readonly": True, "image": {"image": reference}}, **fields)


def data_image(registry, name="data"):
    tree = Tree().dir("sub").file("sub/inner", b"inner").file("top", b"top")
    tree.symlink("up", "../../../etc").symlink("root", "/sub").symlink("missing", "/nowhere")
    return registry.image(name, tree.done(), Tree().file("second", b"second").done())


def refused(t, pod, mount, code, part):
    return t.fails(code, "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "bad"}, "image": {"image": t.busybox}, "linux": {},
                   "command": ["true"], "mounts": [mount]}}, part=part)


def test_image_volume_is_mounted_read_only(t):
    with t.registry() as registry:
        reference = data_image(registry)
        image = pulled(t, reference)
    container = t.pod().run(["sleep", "1000"], mounts=[
        volume(reference), volume(image, "/again/deep", imageSubPath="sub"),
        volume(image, "/linked", imageSubPath="root"),
        volume(image, "/file", imageSubPath="sub/inner", mountOptions=["noexec", "nosuid"])])
    assert container.output("cat", "/data/top", "/data/second", "/data/sub/inner",
                            "/again/deep/inner", "/linked/inner",
                            "/file") == "topsecond" + "inner" * 4
    code, _, err = container.exec("touch", "/data/new")
    assert code != 0 and "Read-only" in err, err
    options = next(line.split()[3] for line in container.output("cat", "/proc/mounts").splitlines()
                   if line.split()[1] == "/file").split(",")
    assert {"ro", "noexec", "nosuid"} <= set(options), options
    mounts = container.status["mounts"]
    assert len(mounts) == 4 and mounts[0]["image"]["image"] == reference, mounts
    for mount in mounts:
        assert "@sha256:" in mount["image"]["imageRef"] and not mount.get("hostPath"), mount
        assert mount["readonly"], mount
    assert mounts[3]["imageSubPath"] == "sub/inner", mounts


def test_image_volume_is_refused(t):
    with t.registry() as registry:
        reference = data_image(registry)
        pulled(t, reference)
    pod = t.pod()
    refused(t, pod, volume(reference, readonly=False), "InvalidArgument", "readonly")
    refused(t, pod, volume(reference, hostPath="/tmp"), "InvalidArgument", "host_path")
    for path, code in (("../etc", "InvalidArgument"), ("sub/../..", "InvalidArgument"),
                       ("/sub", "InvalidArgument"), ("nothing", "NotFound"),
                       ("up/passwd", "NotFound"), ("missing", "NotFound"),
                       ("top/x", "FailedPrecondition|InvalidArgument|NotFound|Internal")):
        message = refused(t, pod, volume(reference, imageSubPath=path), code, "sub path")
        assert message.startswith("ImageVolumeMountFailed"), message
    message = refused(t, pod, volume("example.test/none:1"), "NotFound", "not a local image")
    assert message.startswith("ImageVolumeMountFailed"), message
    assert not t.call("ListContainers").get("containers")


@own_node()
def test_image_volume_keeps_its_content(t):
    with t.registry() as registry:
        reference = data_image(registry)
        image = pulled(t, reference)
        pod = t.pod()
        waiting = pod.create(["sleep", "1000"], mounts=[volume(reference)])
        running = pod.run(["sleep", "1000"], mounts=[volume(reference)])
        t.call("RemoveImage", {"image": {"image": image}})
        assert not t.call("ImageStatus", {"image": {"image": image}}).get("image")
        t.node.runtime.kill()
        t.node.runtime.start()
        t.node.connect()
        waiting.start()
        for container in (waiting, running):
            assert container.output("cat", "/data/top", "/data/second") == "topsecond"
        waiting.remove()
        assert running.output("cat", "/data/sub/inner") == "inner"
        running.remove()
        assert pulled(t, reference) == image


def test_image_volume_in_a_user_namespace(t):
    """Root's files in the image are those of the pod's root."""
    with t.registry() as registry:
        reference = data_image(registry)
        pulled(t, reference)
        single = registry.image("single", Tree().file("own", b"1", mode=0o600).done())
        pulled(t, single)
    ids = [{"hostId": 1 << 20, "containerId": 0, "length": 65536}]
    namespaces = {"usernsOptions": {"mode": "POD", "uids": ids, "gids": ids}}
    pod = t.pod(linux={"securityContext": {"namespaceOptions": namespaces}})
    mapped = {"uidMappings": ids, "gidMappings": ids}
    container = pod.run(["sleep", "1000"], mounts=[
        volume(reference, **mapped), volume(reference, "/sub", imageSubPath="sub", **mapped),
        volume(single, "/single", **mapped)],
        linux={"securityContext": {"namespaceOptions": namespaces}})
    assert container.output("stat", "-c", "%u", "/data/top", "/sub/inner",
                            "/single/own").split() == ["0"] * 3
    assert container.output("cat", "/single/own") == "1"
