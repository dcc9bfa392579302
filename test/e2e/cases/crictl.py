# SPDX-License-Identifier: Apache-2.0
"""What an operator does with the real crictl, command by command."""

import ipaddress
import json
import os

from harness import wait
from harness.node import BUSYBOX

TAGGED = "gcr.io/k8s-staging-cri-tools/test-image-tag:test"


def test_version(t):
    rows = dict(line.split(":", 1) for line in t.crictl("version").splitlines())
    assert rows["Version"].strip() == "0.1.0", rows
    assert rows["RuntimeApiVersion"].strip() == "v1", rows
    if t.node.runtime.name == "berthd":
        assert rows["RuntimeName"].strip() == "berth", rows


def test_info(t):
    conditions = {row["type"]: row["status"] for row in
                  t.crictl.json("info")["status"]["conditions"]}
    assert conditions["RuntimeReady"] is True and conditions["NetworkReady"] is True, conditions


def test_runtime_config(t):
    # No systemd runs in the tests' place.
    assert t.crictl("runtime-config").split() == ["cgroup", "driver:", "CGROUPFS"]


def test_imagefsinfo(t):
    t.call("PullImage", {"image": {"image": t.busybox}})

    def used():
        row = t.crictl.json("imagefsinfo")["status"]["imageFilesystems"][0]
        assert os.path.isdir(row["fsId"]["mountpoint"]), row
        return int(row["usedBytes"]["value"]) > 0 and int(row["inodesUsed"]["value"]) > 0

    # The figures may be those of a moment ago.
    wait.until(used, 30, "the usage of the image store to be known")


def test_pull_images_inspecti_rmi(t):
    output = t.crictl("pull", TAGGED)
    image = next(row for row in t.crictl.json("images", "-o", "json")["images"]
                 if TAGGED in row["repoTags"])
    assert image["id"] in output, output
    assert int(image["size"]) > 0 and image["id"].startswith("sha256:"), image
    digest = image["repoDigests"][0]
    for name in (TAGGED, digest, image["id"], image["id"][7:19]):
        status = t.crictl.json("inspecti", name)["status"]
        assert status["id"] == image["id"], (name, status)
    t.crictl("rmi", TAGGED)
    assert image["id"] not in t.crictl("images", "-q", "--no-trunc")
    assert "no such image" in t.crictl.fails("inspecti", TAGGED).lower()


def test_pull_by_digest_has_no_tag(t):
    t.crictl("pull", TAGGED)
    digest = t.crictl.json("inspecti", TAGGED)["status"]["repoDigests"][0]
    t.crictl("rmi", TAGGED)
    t.crictl("pull", digest)
    status = t.crictl.json("inspecti", digest)["status"]
    assert not status.get("repoTags") and status["repoDigests"] == [digest], status


def test_rmi_all_unused(t):
    t.crictl("pull", TAGGED)
    t.crictl("rmi", "--all")
    assert t.crictl("images", "-q") == ""
    t.crictl("pull", BUSYBOX)


def test_pod_life(t):
    pod = t.crictl("runp", t.crictl_pod(labels={"app": "demo"}, annotations={"note": "a b"}))
    assert len(pod) == 64, pod
    rows = t.crictl.json("pods", "-o", "json")["items"]
    assert [row["id"] for row in rows] == [pod] and rows[0]["state"] == "SANDBOX_READY", rows
    assert t.crictl("pods", "-q", "--label", "app=demo") == pod
    assert t.crictl("pods", "-q", "--label", "app=other") == ""
    status = t.crictl.json("inspectp", pod[:10])["status"]
    assert status["labels"] == {"app": "demo"}, status
    assert status["annotations"] == {"note": "a b"}, status
    ipaddress.ip_address(status["network"]["ip"])
    t.crictl("stopp", pod[:13])
    assert t.crictl.json("inspectp", pod)["status"]["state"] == "SANDBOX_NOTREADY"
    assert t.crictl("pods", "-q", "--state", "ready") == ""
    t.crictl("stopp", pod)
    t.crictl("rmp", pod)
    assert t.crictl("pods", "-q") == ""


def test_container_life(t):
    pod_config = t.crictl_pod()
    pod = t.crictl("runp", pod_config)
    container = t.crictl("create", pod, t.crictl_container(
        "sh", "-c", "echo to out; echo to err >&2; exec sleep 1000", labels={"role": "demo"}),
        pod_config)
    assert t.crictl("ps", "-q") == "" and t.crictl("ps", "-a", "-q") == container
    assert t.crictl.json("inspect", container)["status"]["state"] == "CONTAINER_CREATED"
    t.crictl("start", container)
    assert t.crictl("ps", "-q", "--pod", pod) == container
    assert t.crictl("ps", "-q", "--label", "role=demo") == container
    status = t.crictl.json("inspect", container[:12])
    assert status["status"]["state"] == "CONTAINER_RUNNING", status
    assert os.path.isdir(f"/proc/{status['info']['pid']}"), status["info"]
    assert t.crictl("exec", "--sync", container, "echo", "in the container") == "in the container"
    wait.until(lambda: t.crictl("logs", container) == "to out", 5, "the output in the log")
    assert t.crictl.run("logs", container).stderr.strip() == "to err"
    t.crictl("stop", "--timeout", "1", container)
    status = t.crictl.json("inspect", container)["status"]
    assert status["state"] == "CONTAINER_EXITED" and status["exitCode"] in (137, 143), status
    t.crictl("rm", container)
    assert t.crictl("ps", "-a", "-q") == ""
    t.crictl("stopp", pod)
    t.crictl("rmp", pod)


def test_exec_reports_exit_code(t):
    container = t.pod().run(["sleep", "1000"])
    result = t.crictl.run("exec", "--sync", container.id, "sh", "-c", "echo oops >&2; exit 7",
                          check=False)
    assert result.returncode != 0 and "oops" in result.stderr + result.stdout, result
    assert "7" in result.stderr, result


def test_run_makes_pod_and_container(t):
    container = t.crictl("run", "--no-pull", t.crictl_container("sleep", "1000"),
                         t.crictl_pod()).splitlines()[-1]
    assert t.crictl("ps", "-q") == container
    pod = t.crictl("pods", "-q")
    t.crictl("rmp", "--force", pod)
    assert t.crictl("ps", "-a", "-q") == "" and t.crictl("pods", "-q") == ""


def test_logs_of_ended_container(t):
    container = t.pod().run(["sh", "-c", "seq 1 1000"])
    container.wait()
    assert t.crictl("logs", container.id) == "\n".join(map(str, range(1, 1001)))
    assert t.crictl("logs", "--tail", "2", container.id) == "999\n1000"


def test_rm_force_of_running_container(t):
    container = t.pod().run(["sleep", "1000"])
    t.crictl("rm", "--force", container.id)
    assert t.crictl("ps", "-a", "-q") == ""


def test_inspect_shows_what_was_asked(t):
    pod = t.pod(hostname="named")
    container = pod.run(["sh", "-c", "exec sleep 1000"], envs=[{"key": "A", "value": t.bytes("b c")}],
                        workingDir="/tmp", annotations={"k": "v"})
    status = json.loads(t.crictl("inspect", container.id))["status"]
    assert status["annotations"] == {"k": "v"}, status
    assert status["logPath"] == container.log_path, status
    assert status["image"]["image"], status
    assert status["imageRef"], status
    assert container.output("sh", "-c", "echo $A; pwd; hostname") == "b c\n/tmp\nnamed\n"
