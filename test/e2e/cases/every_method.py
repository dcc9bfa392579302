# SPDX-License-Identifier: Apache-2.0
"""Every method of the API with fields that are missing, too long, negative or contradict each
other: the code, a message that names the field, and nothing left."""

import os
import re

BAD = "InvalidArgument"
MISSING = "NotFound"
UNKNOWN = "f" * 64
LONG = "n" * 300
HUGE = "x" * (1 << 20)
NUL = "a\u0000b"

# Nothing in their requests can be wrong.
WITHOUT_FIELDS = {
    "Version", "Status", "RuntimeConfig", "ImageFsInfo", "GetContainerEvents",
    "ListMetricDescriptors", "ListPodSandboxMetrics", "StreamPodSandboxMetrics"}
# Methods that take the ID of a pod or of a container, the rest of a request that is right, and what
# an ID that is unknown is answered with.
BY_ID = (
    ("StopPodSandbox", "podSandboxId", {}, "OK"),
    ("RemovePodSandbox", "podSandboxId", {}, "OK"),
    ("PodSandboxStatus", "podSandboxId", {}, MISSING),
    ("PodSandboxStats", "podSandboxId", {}, MISSING),
    ("UpdatePodSandboxResources", "podSandboxId", {"resources": {}}, MISSING),
    ("PortForward", "podSandboxId", {"port": [80]}, MISSING),
    ("StartContainer", "containerId", {}, MISSING),
    ("StopContainer", "containerId", {}, "OK"),
    ("RemoveContainer", "containerId", {}, "OK"),
    ("ContainerStatus", "containerId", {}, MISSING),
    ("ContainerStats", "containerId", {}, MISSING),
    ("UpdateContainerResources", "containerId", {"linux": {"cpuShares": "2"}}, MISSING),
    ("ReopenContainerLog", "containerId", {}, MISSING),
    ("ExecSync", "containerId", {"cmd": ["true"]}, MISSING),
    ("Exec", "containerId", {"cmd": ["true"], "stdout": True}, MISSING),
    ("Attach", "containerId", {"stdout": True}, MISSING),
)
# Methods that take a filter, and its fields of IDs.
BY_FILTER = (
    ("ListPodSandbox", ("id",), True),
    ("StreamPodSandboxes", ("id",), True),
    ("ListContainers", ("id", "podSandboxId"), True),
    ("StreamContainers", ("id", "podSandboxId"), True),
    ("ListContainerStats", ("id", "podSandboxId"), False),
    ("StreamContainerStats", ("id", "podSandboxId"), False),
    ("ListPodSandboxStats", ("id",), False),
    ("StreamPodSandboxStats", ("id",), False),
)
NOT_BUILT = ("CheckpointContainer", "CheckpointPod", "RestorePod")


def snake(name):
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def as_given(t, pod, container):
    """What was there is as it was, and nothing else is there."""
    assert [p["id"] for p in t.call("ListPodSandbox")["items"]] == [pod.id]
    assert [c["id"] for c in t.call("ListContainers")["containers"]] == [container.id]
    assert container.status["state"] == "CONTAINER_RUNNING", container.status
    assert pod.status["state"] == "SANDBOX_READY", pod.status


def test_no_method_is_forgotten(t):
    path = os.path.join(os.path.dirname(__file__), "../../../cri/api/runtime/v1/api.proto")
    with open(path, encoding="utf-8") as f:
        methods = set(re.findall(r"^\s*rpc (\w+)\(", f.read(), re.MULTILINE))
    assert len(methods) == 43, sorted(methods)
    looked_at = WITHOUT_FIELDS | {row[0] for row in BY_ID + BY_FILTER} | set(NOT_BUILT) | \
        {method for method, *_ in wrong_requests(t, "", "")}
    assert looked_at == methods, looked_at ^ methods


def test_ids(t):
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    for method, field, rest, unknown in BY_ID:
        for identity in (NUL, HUGE):
            t.fails(BAD, method, dict(rest, **{field: identity}), part=snake(field))
        for identity in (UNKNOWN, LONG, "no-such", "%s%n", "../" + container.id):
            request = dict(rest, **{field: identity})
            if unknown == "OK":
                t.call(method, request)
            else:
                t.fails(unknown, method, request, part=identity[:64])
        request = dict(rest, **{field: ""})
        if unknown == "OK":
            t.call(method, request)
        else:
            # Streams are refused by their rules, the others find nothing.
            code = BAD if method in ("Exec", "Attach", "PortForward") else MISSING
            t.fails(code, method, request, part="empty")
    as_given(t, pod, container)


def test_filters(t):
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    for method, fields, has_state in BY_FILTER:
        for field in fields:
            for value in (NUL, HUGE):
                t.fails(BAD, method, {"filter": {field: value}}, part=f"filter.{snake(field)}")
            for value in (UNKNOWN, LONG, "%s%n"):
                answer = t.call(method, {"filter": {field: value}})
                assert not answer or not any(answer.values()), (method, field, answer)
        t.fails(BAD, method, {"filter": {"labelSelector": {"l": HUGE}}},
                part='filter.label_selector["l"]')
        if has_state:
            t.fails(BAD, method, {"filter": {"state": {"state": 9}}}, part="filter.state.state")
    as_given(t, pod, container)


def wrong_requests(t, pod, container):
    """(method, request, code, part of the message)."""
    yield from wrong_pods(t)
    yield from wrong_containers(t, pod)
    for method, field in (("ExecSync", "containerId"), ("Exec", "containerId")):
        good = {field: container, "stdout": True} if method == "Exec" else {field: container}
        yield method, good, BAD, "cmd"
        yield method, dict(good, cmd=[""]), BAD, "cmd"
        yield method, dict(good, cmd=["sh", HUGE]), BAD, "cmd[1]"
        yield method, dict(good, cmd=["sh", NUL]), BAD, "cmd[1]"
    yield "ExecSync", {"containerId": container, "cmd": ["true"], "timeout": "-1"}, BAD, "timeout"
    for method, rest in (("Exec", {"cmd": ["sh"]}), ("Attach", {})):
        yield method, dict(rest, containerId=container), BAD, "stdin, stdout and stderr"
        yield method, dict(rest, containerId=container, tty=True, stderr=True), BAD, "stderr"
    for port in (0, -1, 70000):
        yield "PortForward", {"podSandboxId": pod, "port": [80, port]}, BAD, "port[1]"
    yield "StopContainer", {"containerId": container, "timeout": "-1"}, BAD, "timeout"
    for field, value in (("cpuPeriod", "-1"), ("cpuQuota", "-2"), ("cpuShares", "-1"),
                         ("memoryLimitInBytes", "-2"), ("memorySwapLimitInBytes", "-2"),
                         ("oomScoreAdj", "1001"), ("cpusetCpus", HUGE), ("cpusetCpus", NUL),
                         ("unified", {"a/b": "1"}), ("unified", {"a": NUL}),
                         ("hugepageLimits", [{"limit": "1"}])):
        yield ("UpdateContainerResources", {"containerId": container, "linux": {field: value}}, BAD,
               f"linux.{snake(field)}")
        for part in ("overhead", "resources"):
            yield ("UpdatePodSandboxResources", {"podSandboxId": pod, part: {field: value}}, BAD,
                   f"{part}.{snake(field)}")
    yield "UpdateContainerResources", {"containerId": container}, BAD, "linux"
    for value in ("-1", "nonsense", "1000000"):
        yield ("UpdateContainerResources",
               {"containerId": container, "linux": {"cpusetCpus": value}}, BAD, "cpu")
    cidr = "runtime_config.network_config.pod_cidr"
    for value in ("nonsense", "10.0.0.0/33", "10.0.0.0/8,10.1.0.0/16", LONG, HUGE, NUL):
        yield ("UpdateRuntimeConfig", {"runtimeConfig": {"networkConfig": {"podCidr": value}}}, BAD,
               cidr)
    for method in ("PullImage", "ImageStatus", "RemoveImage"):
        yield method, {}, BAD, "image"
        yield method, {"image": {}}, BAD, "image.image"
        yield method, {"image": {"image": HUGE}}, BAD, "image.image"
        yield method, {"image": {"image": NUL}}, BAD, "image.image"
    yield "PullImage", {"image": {"image": "UPPER/case"}}, BAD, "UPPER/case"
    yield "PullImage", {"image": {"image": LONG.upper()}}, BAD, "image reference"
    yield ("PullImage", {"image": {"image": t.busybox, "runtimeHandler": LONG}}, BAD,
           "image.runtime_handler")
    yield ("PullImage", {"image": {"image": t.busybox}, "auth": {"password": HUGE}}, BAD,
           "auth.password")
    for method in ("ListImages", "StreamImages"):
        yield method, {"filter": {"image": {"image": HUGE}}}, BAD, "filter.image.image"
        yield method, {"filter": {"image": {"image": NUL}}}, BAD, "filter.image.image"


def wrong_pods(t):
    def config(**fields):
        return "RunPodSandbox", {"config": t.pod_config(**fields)}, BAD

    def metadata(**fields):
        return config(metadata=dict({"name": "p", "uid": "u", "namespace": "n"}, **fields))

    yield "RunPodSandbox", {}, BAD, "config"
    yield *config(metadata=None), "config.metadata"
    for field in ("name", "uid", "namespace"):
        yield *metadata(**{field: ""}), f"config.metadata.{field}"
        yield *metadata(**{field: HUGE}), f"config.metadata.{field}"
        yield *metadata(**{field: NUL}), f"config.metadata.{field}"
    for value in (LONG, "a b", NUL):
        yield *config(hostname=value), "hostname"
    for value in ("relative", NUL, "/" + HUGE):
        yield *config(logDirectory=value), "config.log_directory"
    yield *config(logDirectory="/var/tmp/" + LONG), "config.log_directory"
    yield *config(annotations={"a": HUGE}), 'config.annotations["a"]'
    yield *config(dnsConfig={"servers": ["1.2.3.4\nsearch evil"]}), "dns_config.servers"
    for field, value in (("hostPort", 70000), ("hostPort", -1), ("containerPort", -1),
                         ("protocol", 9)):
        mapping = dict({"containerPort": 80, "hostPort": 80}, **{field: value})
        yield *config(portMappings=[mapping]), f"config.port_mappings[0].{snake(field)}"
    yield *config(portMappings=[{"containerPort": 80, "hostPort": 80, "hostIp": LONG}]), "host_ip"

    def linux(**fields):
        return config(linux=fields)

    yield *linux(cgroupParent="/a/../../b"), "config.linux.cgroup_parent"
    yield *linux(sysctls={"": "1"}), "config.linux.sysctls"
    yield *linux(sysctls={"net.core.somaxconn": NUL}), "config.linux.sysctls"
    yield *linux(sysctls={LONG: "1"}), LONG[:64]
    for part in ("overhead", "resources"):
        yield *linux(**{part: {"cpuPeriod": "-1"}}), f"config.linux.{part}.cpu_period"

    def security(**fields):
        return linux(securityContext=fields)

    path = "linux.security_context."
    yield *security(runAsGroup={"value": "5"}), path + "run_as_group"
    yield *security(runAsUser={"value": "-1"}), path + "run_as_user"
    yield *security(supplementalGroups=["-1"]), path + "supplemental_groups[0]"
    for field, value in (("network", "CONTAINER"), ("network", "TARGET"), ("ipc", "CONTAINER"),
                         ("pid", "TARGET"), ("pid", 9)):
        options = {field: value, "targetId": "x"}
        yield *security(namespaceOptions=options), path + f"namespace_options.{field}"
    yield (*security(namespaceOptions={"usernsOptions": {"mode": "POD"}}),
           path + "namespace_options.userns_options")
    for handler in (LONG, "no-such"):
        yield ("RunPodSandbox", {"config": t.pod_config(), "runtimeHandler": handler}, BAD,
               handler[:64])


def wrong_containers(t, pod):
    def request(**fields):
        good = {"metadata": {"name": "c"}, "image": {"image": t.busybox}, "command": ["true"],
                "linux": {}}
        return {"podSandboxId": pod, "config": dict(good, **fields)}

    def config(**fields):
        return "CreateContainer", request(**fields), BAD

    for identity, code in (("", MISSING), (UNKNOWN, MISSING), (LONG, MISSING), (HUGE, BAD),
                           (NUL, BAD)):
        yield ("CreateContainer", dict(request(), podSandboxId=identity), code,
               "pod sandbox" if code == MISSING else "pod_sandbox_id")
    yield "CreateContainer", {"podSandboxId": pod}, BAD, "config"
    yield *config(metadata=None), "config.metadata"
    yield *config(metadata={"name": ""}), "config.metadata.name"
    yield *config(metadata={"name": HUGE}), "config.metadata.name"
    yield *config(image=None), "config.image"
    yield *config(image={"image": ""}), "config.image.image"
    yield "CreateContainer", request(image={"image": "no/such"}), MISSING, "config.image.image"
    yield *config(command=["sh", HUGE]), "config.command[1]"
    yield *config(args=[NUL]), "config.args[0]"
    yield *config(workingDir=HUGE), "config.working_dir"
    for key, value in (("", "x"), ("A=B", "x"), ("A", NUL), ("A", HUGE)):
        yield *config(envs=[{"key": key, "value": t.bytes(value)}]), "config.envs[0]"
    for mount in ({"hostPath": "/tmp"}, {"containerPath": "/x"},
                  {"hostPath": "tmp", "containerPath": "/x"},
                  {"hostPath": "/tmp", "containerPath": "/x", "propagation": 9},
                  {"hostPath": "/tmp", "containerPath": "/x", "recursiveReadOnly": True},
                  {"hostPath": "/tmp", "containerPath": "/x", "imageSubPath": "y"},
                  {"hostPath": "/tmp", "containerPath": "/x", "mountOptions": ["suid"]},
                  {"hostPath": "/tmp", "containerPath": "/x", "image": {"image": t.busybox}},
                  {"containerPath": "/x", "image": {"image": t.busybox}},
                  {"hostPath": "/tmp", "containerPath": "/../x"},
                  {"hostPath": "/tmp", "containerPath": "/"}):
        yield *config(mounts=[mount]), "mounts[0]"
    for device in ({}, {"hostPath": "null"}, {"hostPath": "/dev/null", "permissions": "x"}):
        yield *config(devices=[device]), "config.devices[0]"
    for path in ("/absolute", "../up", "a/../../up"):
        yield *config(logPath=path), "config.log_path"
    yield *config(stopSignal=99), "config.stop_signal"
    yield *config(labels={"l": HUGE}), 'config.labels["l"]'

    def resources(**fields):
        return config(linux={"resources": fields})

    for field, value in (("cpuPeriod", "-1"), ("cpuQuota", "-2"), ("cpuShares", "-1"),
                         ("memoryLimitInBytes", "-2"), ("memoryLimitInBytes", "1"),
                         ("oomScoreAdj", "-1001"), ("unified", {"../x": "1"}),
                         ("hugepageLimits", [{"limit": "1"}])):
        yield *resources(**{field: value}), f"config.linux.resources.{snake(field)}"

    def security(**fields):
        return config(linux={"securityContext": fields})

    path = "linux.security_context."
    yield *security(privileged=True), path + "privileged"
    yield (*security(runAsUser={"value": "1"}, runAsUsername="root"), path + "run_as_username")
    yield *security(runAsGroup={"value": "1"}), path + "run_as_group"
    yield *security(runAsUser={"value": str(1 << 32)}), path + "run_as_user"
    yield *security(runAsUsername=LONG), LONG[:64]
    yield *security(supplementalGroups=["-1"]), path + "supplemental_groups[0]"
    yield *security(supplementalGroupsPolicy=9), path + "supplemental_groups_policy"
    yield *security(capabilities={"addCapabilities": ["FLY"]}), "FLY"
    yield *security(namespaceOptions={"network": "TARGET"}), path + "namespace_options.network"
    yield *security(namespaceOptions={"pid": "TARGET"}), path + "namespace_options.target_id"
    yield ("CreateContainer", request(linux={"securityContext": {"namespaceOptions": {
        "pid": "TARGET", "targetId": UNKNOWN}}}), MISSING, UNKNOWN[:64])
    yield *security(seccomp={"profileType": "Localhost"}), path + "seccomp.localhost_ref"
    yield *security(apparmor={"profileType": 9}), path + "apparmor.profile_type"


def test_wrong_requests(t):
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    faults = []
    for method, request, code, part in wrong_requests(t, pod.id, container.id):
        try:
            t.fails(code, method, request, part=part)
        except AssertionError as fault:
            faults.append(str(fault)[:600])
    assert not faults, f"{len(faults)} answers:\n" + "\n".join(faults)
    as_given(t, pod, container)


def test_what_is_not_built_says_so(t):
    for method in NOT_BUILT:
        t.fails("Unimplemented|InvalidArgument|NotFound", method, {})


def test_long_names_are_names(t):
    """300 characters are more than Kubernetes gives, and no fault."""
    pod = t.pod(metadata={"name": LONG, "uid": LONG, "namespace": LONG},
                labels={LONG: LONG}, annotations={LONG: "a" * (256 << 10)})
    container = pod.create(["sleep", "1000"], metadata={"name": LONG}, labels={LONG: LONG})
    container.start()
    assert pod.status["metadata"]["uid"] == LONG and pod.status["labels"] == {LONG: LONG}
    assert container.status["metadata"]["name"] == LONG
    assert container.output("hostname").strip() == pod.id[:12]
    listed = t.call("ListContainers", {"filter": {"labelSelector": {LONG: LONG}}})["containers"]
    assert [c["id"] for c in listed] == [container.id]
    # A file of the log cannot have such a name: the start fails, by name, and leaves nothing.
    other = pod.create(["true"], logPath=LONG + ".log")
    t.fails(BAD, "StartContainer", {"containerId": other.id}, part="File name too long")
    assert other.status["reason"] == "StartError", other.status
