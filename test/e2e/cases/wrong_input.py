# SPDX-License-Identifier: Apache-2.0
"""Requests that a well-behaved client never makes, on every RPC."""

import os
import re

from harness.client import CallError

UNKNOWN = "f" * 64
BAD = "InvalidArgument"
# What a caller did wrong may be called either.
BAD_OR_MISSING = "InvalidArgument|NotFound"


# What an empty message gets where the API demands content.
NIL_IS_WRONG = {
    "RunPodSandbox": BAD, "CreateContainer": BAD_OR_MISSING, "StartContainer": BAD_OR_MISSING,
    "PodSandboxStatus": BAD_OR_MISSING, "ContainerStatus": BAD_OR_MISSING,
    "ExecSync": BAD_OR_MISSING, "UpdateContainerResources": BAD_OR_MISSING,
    "UpdatePodSandboxResources": BAD_OR_MISSING, "ReopenContainerLog": BAD_OR_MISSING,
    "ContainerStats": BAD_OR_MISSING, "PodSandboxStats": BAD_OR_MISSING, "PullImage": BAD,
    "ImageStatus": BAD, "RemoveImage": BAD, "Exec": BAD_OR_MISSING, "Attach": BAD_OR_MISSING,
    "PortForward": BAD_OR_MISSING, "CheckpointContainer": "Unimplemented",
    "CheckpointPod": "Unimplemented", "RestorePod": "Unimplemented",
}
NIL_IS_FINE = ("Version", "Status", "RuntimeConfig", "UpdateRuntimeConfig", "ListPodSandbox",
               "ListContainers", "ListImages", "ImageFsInfo", "ListContainerStats",
               "ListPodSandboxStats", "ListMetricDescriptors", "ListPodSandboxMetrics",
               "StreamPodSandboxes", "StreamContainers", "StreamContainerStats",
               "StreamPodSandboxStats", "StreamPodSandboxMetrics", "StreamImages")
# What is gone already may be stopped and removed again; an empty ID is nobody's.
NIL_IS_NOBODY = ("StopPodSandbox", "RemovePodSandbox", "StopContainer", "RemoveContainer")
ENDLESS = ("GetContainerEvents",)


def test_every_method_is_here(t):
    api = os.path.join(os.path.dirname(__file__), "../../../cri/api/runtime/v1/api.proto")
    with open(api, encoding="utf-8") as f:
        methods = re.findall(r"rpc (\w+)\(", f.read())
    here = [*NIL_IS_WRONG, *NIL_IS_FINE, *NIL_IS_NOBODY, *ENDLESS]
    assert sorted(methods) == sorted(here), set(methods) ^ set(here)


def test_nil_requests(t):
    """Empty messages: never an OK answer where content is demanded, never a crash."""
    for method, codes in NIL_IS_WRONG.items():
        t.fails(codes, method, {})
    for method in NIL_IS_FINE:
        t.call(method, {})
    container = t.pod().run(["sleep", "1000"])
    for method in NIL_IS_NOBODY:
        answer = t.node.raw.answer(method, {})
        assert answer.get("code", BAD) == BAD, (method, answer)
    assert container.status["state"] == "CONTAINER_RUNNING"
    for method in ENDLESS:
        t.stream(method, {}).await_headers()


def test_nil_pod_metadata(t):
    for config in ({}, {"metadata": {}}, {"metadata": {"name": "x"}},
                   {"metadata": {"name": "x", "namespace": "y"}},
                   {"metadata": {"name": "x", "uid": "z"}},
                   {"metadata": {"namespace": "y", "uid": "z"}}):
        message = t.fails(BAD, "RunPodSandbox", {"config": config})
        assert any(word in message for word in ("metadata", "name", "namespace", "uid")), message
    assert not t.call("ListPodSandbox").get("items")


def test_nil_container_metadata_and_image(t):
    pod = t.pod()
    good = {"metadata": {"name": "c"}, "image": {"image": t.busybox}}
    for config in (None, {}, dict(good, metadata={}), dict(good, image={}),
                   dict(good, image={"image": ""})):
        request = {"podSandboxId": pod.id, "sandboxConfig": pod.config}
        if config is not None:
            request["config"] = config
        t.fails(BAD_OR_MISSING, "CreateContainer", request)
    assert not t.call("ListContainers").get("containers")


def test_empty_and_unknown_ids(t):
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    for identity in ("", " ", UNKNOWN, "zz", "../" + container.id, container.id + "0",
                     container.id.upper() + "x", "%s%n"):
        missing = BAD_OR_MISSING
        t.fails(missing, "PodSandboxStatus", {"podSandboxId": identity})
        t.fails(missing, "ContainerStatus", {"containerId": identity})
        t.fails(missing, "StartContainer", {"containerId": identity})
        t.fails(missing, "ExecSync", {"containerId": identity, "cmd": ["true"]})
        t.fails(missing, "ReopenContainerLog", {"containerId": identity})
        t.fails(missing, "UpdateContainerResources", {"containerId": identity, "linux": {}})
        t.fails(missing, "ContainerStats", {"containerId": identity})
        t.fails(missing, "PodSandboxStats", {"podSandboxId": identity})
        t.fails(missing, "UpdatePodSandboxResources", {"podSandboxId": identity})
        t.fails(missing, "Exec", {"containerId": identity, "cmd": ["true"], "stdout": True})
        t.fails(missing, "Attach", {"containerId": identity, "stdout": True})
        t.fails(missing, "PortForward", {"podSandboxId": identity, "port": [80]})
        t.fails(missing, "CreateContainer", {
            "podSandboxId": identity, "sandboxConfig": pod.config,
            "config": {"metadata": {"name": "c"}, "image": {"image": t.busybox}}})
        for method, field in (("StopContainer", "containerId"), ("RemoveContainer", "containerId"),
                              ("StopPodSandbox", "podSandboxId"),
                              ("RemovePodSandbox", "podSandboxId")):
            # Idempotent for an object that is gone; an ID that is none may be refused as well.
            answer = t.node.raw.answer(method, {field: identity})
            assert answer.get("code", BAD) == BAD, (method, identity, answer)
    # An empty ID is a prefix of every ID: nothing may have been stopped by it.
    assert container.status["state"] == "CONTAINER_RUNNING"
    assert pod.status["state"] == "SANDBOX_READY"


def test_unknown_ids_in_filters_match_nothing(t):
    t.pod().run(["sleep", "1000"])
    assert not t.call("ListPodSandbox", {"filter": {"id": UNKNOWN}}).get("items")
    assert not t.call("ListContainers", {"filter": {"id": UNKNOWN}}).get("containers")
    assert not t.call("ListContainers", {"filter": {"podSandboxId": UNKNOWN}}).get("containers")
    assert not t.call("ListImages", {"filter": {"image": {"image": "no/such"}}}).get("images")
    assert len(t.call("ListContainers", {"filter": {}})["containers"]) == 1


def test_unknown_handler(t):
    config = t.pod_config()
    message = t.fails("InvalidArgument|NotFound", "RunPodSandbox",
                      {"config": config, "runtimeHandler": "no-such-handler"})
    assert "no-such-handler" in message, message
    t.fails("InvalidArgument|NotFound", "PullImage", {
        "image": {"image": t.busybox, "runtimeHandler": "no-such-handler"}},
        part="no-such-handler")


def test_missing_image(t):
    pod = t.pod()
    message = t.fails("NotFound", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "c"}, "image": {"image": "no.such/image:tag"}}})
    assert "no.such/image" in message, message
    assert t.call("ImageStatus", {"image": {"image": "no.such/image:tag"}}).get("image") is None
    t.call("RemoveImage", {"image": {"image": "no.such/image:tag"}})


def failed_start(t, part, **config):
    """A container whose start must fail, by an error that says why, and stay EXITED with 128."""
    pod = t.pod()
    try:
        container = pod.create(**config)
    except CallError as error:
        assert part in error.message, error
        return
    t.fails("InvalidArgument|NotFound|FailedPrecondition|PermissionDenied|Unknown|Internal",
            "StartContainer", {"containerId": container.id}, part=part)
    status = container.status
    assert status["state"] == "CONTAINER_EXITED" and status["exitCode"] == 128, status
    assert status["reason"] == "StartError" and part in status["message"], status


def test_command_that_is_not_there(t):
    failed_start(t, "no-such-program", command=["no-such-program"])
    failed_start(t, "/no/such/path", command=["/no/such/path"])


def test_command_that_is_no_program(t):
    failed_start(t, "/etc/passwd", command=["/etc/passwd"])
    failed_start(t, "/etc", command=["/etc"])


def test_unknown_user(t):
    failed_start(t, "no-such-user", command=["true"],
                 linux={"securityContext": {"runAsUsername": "no-such-user"}})


def test_group_without_user(t):
    pod = t.pod()
    t.fails(BAD, "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "c"}, "image": {"image": t.busybox}, "linux": {
            "securityContext": {"runAsGroup": {"value": "1000"}}}}}, part="group")


def test_working_directory_that_is_a_file(t):
    failed_start(t, "/etc/passwd", command=["true"], workingDir="/etc/passwd")


def test_volume_source_that_is_missing_is_made(t):
    path = os.path.join(t.tmp, "absent/source")
    container = t.pod().run(["ls", "-d", "/data"],
                            mounts=[{"hostPath": path, "containerPath": "/data"}])
    assert container.wait().get("exitCode", 0) == 0 and os.path.isdir(path)


def test_bad_mounts(t):
    pod = t.pod()
    for mount in ({"hostPath": "/tmp", "containerPath": ""},
                  {"hostPath": "", "containerPath": "/data"}):
        t.fails(BAD, "CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config,
            "config": {"metadata": {"name": "c"}, "image": {"image": t.busybox},
                       "mounts": [mount]}})


def test_container_of_a_stopped_pod(t):
    pod = t.pod()
    pod.stop()
    t.fails("FailedPrecondition", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "c"}, "image": {"image": t.busybox}}})


def test_calls_in_the_wrong_state(t):
    pod = t.pod()
    container = pod.create(["sleep", "1000"])
    t.fails("FailedPrecondition", "ExecSync", {"containerId": container.id, "cmd": ["true"]})
    container.start()
    t.fails("FailedPrecondition|AlreadyExists", "StartContainer", {"containerId": container.id})
    container.stop()
    for method, more in (("StartContainer", {}), ("ExecSync", {"cmd": ["true"]}),
                         ("ReopenContainerLog", {}),
                         ("UpdateContainerResources", {"linux": {"cpuShares": "2"}})):
        t.fails("FailedPrecondition", method, dict(more, containerId=container.id))
    assert not os.path.exists(container.log_path + ".new")


def test_exec_of_nothing(t):
    container = t.pod().run(["sleep", "1000"])
    t.fails(BAD, "ExecSync", {"containerId": container.id, "cmd": []})
    answer = t.node.raw.answer("ExecSync", {"containerId": container.id, "cmd": ["no-such"]})
    assert "code" in answer or answer["response"]["exitCode"] in (126, 127), answer
    t.fails(BAD, "ExecSync", {"containerId": container.id, "cmd": ["true"], "timeout": "-1"})


def test_log_paths_that_climb(t):
    pod = t.pod()
    for path in ("../../escaped.log", "/escaped.log/../x", "a/../../escaped.log"):
        answer = t.node.raw.answer("CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config,
            "config": {"metadata": {"name": "c" + path}, "image": {"image": t.busybox},
                       "command": ["echo", "x"], "logPath": path}})
        assert answer.get("code", BAD) == BAD, answer
        if "response" in answer:
            t.call("StartContainer", answer["response"])
    assert not os.path.exists(os.path.join(t.tmp, "escaped.log")), os.listdir(t.tmp)


def test_negative_and_absurd_resources(t):
    pod = t.pod()
    for resources in ({"cpuShares": "-5"}, {"memoryLimitInBytes": "-77"}, {"cpuQuota": "-9"},
                      {"cpuPeriod": "-1"}, {"memoryLimitInBytes": "1"},
                      {"cpusetCpus": "not-a-set"}, {"cpusetCpus": "4096"}):
        answer = t.node.raw.answer("CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config,
            "config": {"metadata": {"name": str(resources)}, "image": {"image": t.busybox},
                       "command": ["true"], "linux": {"resources": resources}}})
        if "response" in answer:
            answer = t.node.raw.answer("StartContainer", answer["response"])
        assert answer.get("code", BAD) not in ("Unavailable", "Internal"), (resources, answer)


def test_memory_limit_too_small_to_start(t):
    """The field is named, when a container is made and when one is changed; the floor itself works."""
    pod = t.pod()
    for limit in (1, 4096, (1 << 20) - 1):
        t.fails(BAD, "CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config,
            "config": {"metadata": {"name": "small"}, "image": {"image": t.busybox},
                       "linux": {"resources": {"memoryLimitInBytes": str(limit)}}}},
            part="config.linux.resources.memory_limit_in_bytes")
    container = pod.run(["sleep", "1000"],
                        linux={"resources": {"memoryLimitInBytes": str(1 << 20)}})
    t.fails(BAD, "UpdateContainerResources",
            {"containerId": container.id, "linux": {"memoryLimitInBytes": "1"}},
            part="linux.memory_limit_in_bytes")
    assert len(t.call("ListContainers")["containers"]) == 1


def test_host_port_in_use(t):
    ports = [{"containerPort": 80, "hostPort": 18090}]
    first = t.pod(portMappings=ports)
    t.fails("FailedPrecondition|AlreadyExists|ResourceExhausted|InvalidArgument", "RunPodSandbox",
            {"config": t.pod_config(portMappings=ports)}, part="18090")
    assert [pod["id"] for pod in t.call("ListPodSandbox")["items"]] == [first.id]


def test_bad_ports_and_addresses(t):
    for config in ({"portMappings": [{"containerPort": 70000, "hostPort": 1}]},
                   {"portMappings": [{"containerPort": 80, "hostPort": -1}]},
                   {"portMappings": [{"containerPort": 80, "hostPort": 9, "hostIp": "nonsense"}]},
                   {"dnsConfig": {"servers": ["1.2.3.4\nnameserver 6.6.6.6"]}},
                   {"hostname": "x" * 300}, {"hostname": "a b"}):
        t.fails(BAD, "RunPodSandbox", {"config": t.pod_config(**config)})
    assert not t.call("ListPodSandbox").get("items")


def test_bad_sysctls(t):
    for name in ("vm.swappiness", "kernel.domainname.x", "../../etc/passwd", "net..x"):
        t.fails("InvalidArgument|PermissionDenied|FailedPrecondition|NotFound", "RunPodSandbox",
                {"config": t.pod_config(linux={"sysctls": {name: "1"}})})
    assert not t.call("ListPodSandbox").get("items")


def test_privileged_container_in_an_ordinary_pod(t):
    pod = t.pod()
    t.fails("InvalidArgument|FailedPrecondition|PermissionDenied", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "c"}, "image": {"image": t.busybox},
                   "linux": {"securityContext": {"privileged": True}}}})


def test_unfinished_calls_are_cleaned(t):
    """A client that goes away in the middle: the same call again gives one pod, not an error."""
    config = t.pod_config()
    for milliseconds in (0.001, 0.002, 0.004, 0.008):
        try:
            t.call("RunPodSandbox", {"config": config}, cancel_after=milliseconds)
        except CallError as error:
            assert error.code == "Canceled", error
    pod = t.call("RunPodSandbox", {"config": config})
    assert [item["id"] for item in t.call("ListPodSandbox")["items"]] == [pod["podSandboxId"]]
