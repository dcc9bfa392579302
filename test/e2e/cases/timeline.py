# SPDX-License-Identifier: Apache-2.0
"""`berth timeline`: where the time went while a pod came up."""

import json

from harness.case import own_node


def timeline(t, *arguments):
    return t.berth("timeline", *arguments)[0]


def test_steps_of_a_pod(t):
    pod = t.pod()
    pod.run(["sleep", "1000"])
    told = json.loads(timeline(t, pod.id[:13], "--json"))
    assert told["podSandboxId"] == pod.id and told["dropped"] == 0, told
    calls = [row for row in told["steps"] if not row["step"]]
    assert [row["call"] for row in calls] == ["RunPodSandbox", "CreateContainer",
                                              "StartContainer"], calls
    for call in calls:
        assert not call["failed"] and call["beginNs"] < call["endNs"], call
        steps = [row for row in told["steps"] if row["step"] and row["call"] == call["call"]]
        assert steps, told
        for row in steps:
            assert call["beginNs"] <= row["beginNs"] <= row["endNs"] <= call["endNs"], (call, row)
    text = timeline(t, pod.id)
    for part in (pod.id, "RunPodSandbox", "pod-namespaces: network", "StartContainer",
                 "container-exec", "in all"):
        assert part in text, text


def test_what_failed_is_marked(t):
    pod = t.pod()
    container = pod.create(["/no/such/program"])
    t.fails("NotFound|InvalidArgument|FailedPrecondition|Internal|Unknown", "StartContainer",
            {"containerId": container.id}, part="/no/such/program")
    rows = json.loads(timeline(t, pod.id, "--json"))["steps"]
    assert [row["call"] for row in rows if row["failed"] and not row["step"]] == ["StartContainer"]
    assert "(failed)" in timeline(t, pod.id)


def test_wrong_pods(t):
    assert "0123456789ab" in t.berth("timeline", "0123456789ab", code=1)[1]
    assert "pod" in t.berth("timeline", code=2)[1]


@own_node()
def test_after_a_restart_it_is_empty(t):
    pod = t.pod()
    t.node.runtime.stop()
    t.node.runtime.start()
    t.node.connect()
    assert json.loads(timeline(t, pod.id, "--json"))["steps"] == []
    assert "no steps" in timeline(t, pod.id)
