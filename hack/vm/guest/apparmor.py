# SPDX-License-Identifier: Apache-2.0
"""AppArmor, which is on in this machine: what confines a container, and that it does."""

import contextlib
import subprocess

SLEEP = ["sleep", "1000"]
DEFAULT = "berth-default (enforce)\n"
INSTALLED = "/etc/apparmor.d/berth-default"
OTHER = """
profile berth-test-other flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  signal,
  deny /etc/secret rwklx,
}
"""


def parser(*arguments, text=None):
    subprocess.run(["/usr/sbin/apparmor_parser", *arguments], input=text, text=True, check=True)


def asked(kind, ref="", **more):
    return {"securityContext": dict({"apparmor": {"profileType": kind, "localhostRef": ref}},
                                    **more)}


def confinement(container):
    """Of its first process and of an exec."""
    with open(f"/proc/{container.pid}/attr/current", encoding="ascii") as f:
        first = f.read()
    assert container.output("cat", "/proc/self/attr/current") == first
    return first


@contextlib.contextmanager
def loaded(text):
    parser("-Kr", text=text)
    try:
        yield
    finally:
        parser("-R", text=text)


def test_default(t):
    """Who asks for RuntimeDefault, and who asks for nothing."""
    pod = t.pod()
    for linux in (None, asked("RuntimeDefault")):
        container = pod.run(SLEEP, **({"linux": linux} if linux else {}))
        assert confinement(container) == DEFAULT


def test_default_denies_what_a_capability_would_allow(t):
    capabilities = {"capabilities": {"addCapabilities": ["SYS_ADMIN"]}}
    script = "mkdir -p /tmp/m && mount -t tmpfs none /tmp/m"
    confined = t.pod().run(SLEEP, linux=asked("RuntimeDefault", **capabilities))
    code, _, err = confined.exec("sh", "-c", script)
    assert code != 0 and "denied" in err.lower(), (code, err)
    free = t.pod().run(SLEEP, linux=asked("Unconfined", **capabilities))
    assert confinement(free) == "unconfined\n"
    code, _, err = free.exec("sh", "-c", script)
    assert code == 0, err


def test_privileged_is_unconfined(t):
    privileged = {"securityContext": {"privileged": True}}
    container = t.pod(linux=privileged).run(SLEEP, linux=privileged)
    assert confinement(container) == "unconfined\n"


def test_named_profile(t):
    pod = t.pod()
    with loaded(OTHER):
        container = pod.run(SLEEP, linux=asked("Localhost", "berth-test-other"))
        assert confinement(container) == "berth-test-other (enforce)\n"
        code, _, err = container.exec("sh", "-c", "echo x >/etc/secret")
        assert code != 0 and "denied" in err.lower(), (code, err)
        pod.stop()
    config = {"metadata": {"name": "missing"}, "command": SLEEP,
              "image": {"image": "registry.k8s.io/e2e-test-images/busybox:1.29-2"},
              "linux": asked("Localhost", "berth-test-other")}
    t.fails("InvalidArgument", "CreateContainer", {
        "podSandboxId": t.pod().id, "config": config, "sandboxConfig": t.pod_config()},
        part='"berth-test-other" asked for, but it is not loaded')


def test_default_that_is_not_loaded(t):
    """Is told to who asked for it; who asked for nothing runs."""
    pod = t.pod()
    parser("-R", INSTALLED)
    try:
        config = {"metadata": {"name": "missing"}, "command": SLEEP,
                  "image": {"image": "registry.k8s.io/e2e-test-images/busybox:1.29-2"},
                  "linux": asked("RuntimeDefault")}
        t.fails("FailedPrecondition", "CreateContainer", {
            "podSandboxId": pod.id, "config": config, "sandboxConfig": t.pod_config()},
            part="apparmor_parser -Kr /etc/apparmor.d/berth-default")
        assert confinement(pod.run(SLEEP)) == "unconfined\n"
    finally:
        parser("-Kr", INSTALLED)
