# SPDX-License-Identifier: Apache-2.0
"""What a container may rely on, and what is reported about it."""

import base64
import os
import random

from harness import wait


def test_exit_codes_are_true(t):
    pod = t.pod()
    for code in [0, 1, 255] + random.sample(range(2, 255), 3):
        status = pod.run(["sh", "-c", f"exit {code}"]).wait()
        assert status.get("exitCode", 0) == code, (code, status)
        assert status["reason"] == ("Completed" if code == 0 else "Error"), status
        assert int(status["startedAt"]) <= int(status["finishedAt"]), status


def test_signal_is_128_plus_number(t):
    container = t.pod().run(["sh", "-c", "kill -USR1 $$"])
    assert container.wait()["exitCode"] == 128 + 10


def test_stop_gives_the_grace_period(t):
    pod = t.pod()
    polite = pod.run(["sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; "
                      "while :; do sleep 0.02; done"])
    wait.until(lambda: polite.log_text() == "up\n", 5, "the trap to be set")
    polite.stop(timeout=20)
    assert polite.status["exitCode"] == 3 and polite.log_text() == "up\nbye\n"
    deaf = pod.run(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done"])
    wait.until(lambda: deaf.log_text() == "up\n", 5, "the trap to be set")
    deaf.stop(timeout=1)
    assert deaf.status["exitCode"] == 137


def test_stop_and_remove_again_is_harmless(t):
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    for _ in range(2):
        container.stop()
    for _ in range(2):
        container.remove()
    for _ in range(2):
        pod.stop()
    for _ in range(2):
        pod.remove()


def test_same_name_and_attempt_joins(t):
    config = t.pod_config()
    first = t.call("RunPodSandbox", {"config": config})
    assert t.call("RunPodSandbox", {"config": config}) == first
    request = dict(first, config={"metadata": {"name": "same"},
                                  "image": {"image": t.busybox}, "linux": {},
                                  "command": ["sleep", "9"]}, sandboxConfig=config)
    created = t.call("CreateContainer", request)
    assert t.call("CreateContainer", request) == created
    again = t.call("RunPodSandbox",
                   {"config": dict(config, metadata=dict(config["metadata"], attempt=1))})
    assert again != first


def test_prefix_of_an_id_is_enough_and_an_ambiguous_one_fails(t):
    pod = t.pod()
    containers = [pod.create(["true"]) for _ in range(17)]
    ids = [container.id for container in containers]
    assert t.call("ContainerStatus", {"containerId": ids[0][:12]})["status"]["id"] == ids[0]
    # 17 IDs have at least one pair with the same first digit.
    first = next(i[0] for i in ids if sum(j[0] == i[0] for j in ids) > 1)
    t.fails("InvalidArgument|NotFound|FailedPrecondition", "ContainerStatus",
            {"containerId": first})


def test_exec_times_out_and_leaves_nothing(t):
    container = t.pod().run(["sleep", "1000"])
    before = container.output("ps").count("sleep")
    t.fails("DeadlineExceeded", "ExecSync", {
        "containerId": container.id, "timeout": "1",
        "cmd": ["sh", "-c", "sleep 500 & setsid sleep 501 & wait"]})
    # A killed process has left its cgroup a moment before it leaves the list.
    wait.until(lambda: container.output("ps").count("sleep") == before, 5, "the last to be gone")


def test_exec_output_is_capped(t):
    container = t.pod().run(["sleep", "1000"])
    code, out, _ = container.exec("sh", "-c", "dd if=/dev/zero bs=1M count=40 | tr '\\0' x",
                                  timeout=60)
    assert code == 0 and 15 << 20 <= len(out) <= 16 << 20, (code, len(out))


def test_out_of_memory_is_reported(t):
    container = t.pod().run(
        ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"],
        linux={"resources": {"memoryLimitInBytes": str(32 << 20)}})
    status = container.wait(60)
    assert status["reason"] == "OOMKilled" and status["exitCode"] == 137, status


def test_limits_reach_the_cgroup(t):
    container = t.pod().run(["sleep", "1000"], linux={"resources": {
        "memoryLimitInBytes": str(64 << 20), "cpuShares": "512", "cpuQuota": "50000",
        "cpuPeriod": "100000"}})
    found = container.output("sh", "-c",
                             "cat /sys/fs/cgroup/memory.max 2>/dev/null || "
                             "cat /sys/fs/cgroup/memory/memory.limit_in_bytes")
    assert found.strip() == str(64 << 20), found
    found = container.output("sh", "-c",
                             "cat /sys/fs/cgroup/cpu.max 2>/dev/null || "
                             "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    assert found.split()[0] == "50000", found


def test_environment_is_bytes(t):
    raw = b"\xff\xfe\x80x"
    container = t.pod().run(["sh", "-c", 'echo "$RAW"'], envs=[
        {"key": "RAW", "value": base64.b64encode(raw).decode()}])
    assert container.wait().get("exitCode", 0) == 0
    assert container.log_lines() == [(b"stdout", b"F", raw)], container.log_lines()


def test_log_format(t):
    container = t.pod().run(["sh", "-c", "echo one; printf 'no end'; echo err >&2"])
    container.wait()
    lines = container.log_lines()
    out = [line for line in lines if line[0] == b"stdout"]
    assert out[0] == (b"stdout", b"F", b"one") and out[1][2] == b"no end", lines
    assert (b"stderr", b"F", b"err") in lines, lines
    with open(container.log_path, encoding="utf-8") as f:
        stamp = f.readline().split(" ")[0]
    assert len(stamp) >= 20 and "T" in stamp and stamp[:2] == "20", stamp


def test_long_lines_are_cut_in_pieces(t):
    container = t.pod().run(["sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo"])
    container.wait()
    lines = container.log_lines()
    assert [tag for _, tag, _ in lines] == [b"P", b"P", b"F"], [line[1] for line in lines]
    assert b"".join(line[2] for line in lines) == b"x" * 40000


def test_reopened_log_loses_nothing(t):
    container = t.pod().run(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done"])
    path = container.log_path
    parts = []
    for number in range(5):
        rotated = f"{path}.{number}"
        os.rename(path, rotated)
        try:
            t.call("ReopenContainerLog", {"containerId": container.id})
        except Exception:
            # It has ended meanwhile: then the file goes back, as kubelet does it.
            assert not os.path.exists(path)
            os.rename(rotated, path)
            break
        parts.append(rotated)
    container.wait()
    text = ""
    for part in parts + [path]:
        with open(part, encoding="utf-8") as f:
            text += "".join(line.split(" ", 3)[3] for line in f)
    assert text.split() == [str(i) for i in range(1, 20001)]


def test_mounts(t):
    source = os.path.join(t.tmp, "volume")
    os.mkdir(source)
    container = t.pod().run(["sleep", "1000"], mounts=[
        {"hostPath": source, "containerPath": "/data"},
        {"hostPath": source, "containerPath": "/fixed", "readonly": True}])
    container.output("sh", "-c", "echo text >/data/file")
    assert container.output("cat", "/fixed/file") == "text\n"
    assert container.exec("touch", "/fixed/other")[0] != 0
    with open(os.path.join(source, "file"), encoding="utf-8") as f:
        assert f.read() == "text\n"


def test_privileges_are_dropped(t):
    container = t.pod().run(["sleep", "1000"], linux={"securityContext": {
        "runAsUser": {"value": "1234"}, "runAsGroup": {"value": "5678"}, "noNewPrivs": True}})
    status = container.output("cat", "/proc/self/status")
    rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert rows["Uid"].split() == ["1234"] * 4 and rows["Gid"].split() == ["5678"] * 4, rows
    assert int(rows["CapEff"], 16) == 0 and rows["NoNewPrivs"] == "1", rows


def test_default_seccomp_profile(t):
    profile = {"seccomp": {"profileType": "RuntimeDefault"}}
    container = t.pod().run(["sleep", "1000"], linux={"securityContext": profile})
    assert "Seccomp:\t2" in container.output("cat", "/proc/self/status")
    assert container.exec("unshare", "-U", "true")[0] != 0


def test_tty_output_is_one_stream(t):
    container = t.pod().run(["sh", "-c", "tty; echo err >&2"], tty=True)
    container.wait()
    lines = container.log_lines()
    assert {line[0] for line in lines} == {b"stdout"} and b"/dev/" in lines[0][2], lines


def test_pod_shares_one_pid_namespace(t):
    pod = t.pod(linux={"securityContext": {"namespaceOptions": {"pid": "POD"}}})
    options = {"securityContext": {"namespaceOptions": {"pid": "POD"}}}
    pod.run(["sleep", "4321"], linux=options)
    other = pod.run(["sleep", "1000"], linux=options)
    assert "4321" in other.output("ps")
