# SPDX-License-Identifier: Apache-2.0
"""`berth explain pull`: what a pull would do, without doing it."""

import json
import os

from cases.pulls import pulled, stored_files
from harness.fake_registry import is_manifest, silence_fault, status_fault, token_fault
from harness.registry import PASSWORD, USER, Registry, write_hosts
from oci import Tree, architecture

PRIVATE = "127.0.0.1:5001"


def explain(t, reference, *arguments, code=0, **options):
    """(steps as (kind, fields), the whole answer, stderr) of an explanation."""
    out, err = t.berth("explain", "pull", reference, "--json", *arguments, code=code, **options)
    told = json.loads(out)
    return [next(iter(step.items())) for step in told["steps"]], told, err


def of_kind(steps, kind):
    return [fields for name, fields in steps if name == kind]


def hosts_of(t, domain, server, *mirrors):
    """A reference's domain whose hosts.toml leads to other places."""
    text = f'server = "http://{server}"\n' + "".join(
        f'[host."http://{mirror}"]\n' for mirror in mirrors)
    write_hosts(t.node.runtime.certs, domain, text)


def own_platform():
    return {"os": "linux", "architecture": architecture()}


def test_an_image_that_is_here(t):
    steps, told, _ = explain(t, t.busybox)
    assert told["code"] == 0 and told["message"] == "", told
    reference = of_kind(steps, "reference")[0]
    assert reference["registry"] == "registry.k8s.io" and not reference["defaultTag"], reference
    assert of_kind(steps, "configuration")[0]["hostsFile"].endswith("registry.k8s.io/hosts.toml")
    mirror, itself = of_kind(steps, "endpoint")
    assert mirror["url"] == "http://127.0.0.1:5000/v2" and mirror["ns"] == "registry.k8s.io"
    assert itself["url"] == "https://registry.k8s.io/v2" and itself["registryItself"]
    assert [row["status"] for row in of_kind(steps, "request")] == [200], steps
    plan = of_kind(steps, "plan")[0]
    assert plan["imageHere"] and plan["blobsToFetch"] == 0, plan
    text = t.berth("explain", "pull", t.busybox)[0]
    for part in ("http://127.0.0.1:5000/v2", "?ns=registry.k8s.io", "status 200",
                 "result      the image is here"):
        assert part in text, text


def test_nothing_is_fetched_or_stored(t):
    with t.registry() as registry:
        layers = [registry.layout.layer(Tree().file(name, name * 5000).done()) for name in "ab"]
        own = registry.layout.image(layers)
        other = registry.layout.image(layers[:1], architecture="s390x")
        reference = registry.index(
            "x", (other, {"os": "linux", "architecture": "s390x"}), (own, own_platform()))
        images = t.call("ListImages")
        files = stored_files(t)
        steps, _, _ = explain(t, reference)
        assert t.call("ListImages") == images and stored_files(t) == files
        assert not [row for row in registry.requests if "/blobs/" in row[1]], registry.requests
        index = of_kind(steps, "index")[0]
        assert [(row["platform"], row["chosen"]) for row in index["entries"]] == [
            ("linux/s390x", False), ("linux/" + architecture(), True)], index
        plan = of_kind(steps, "plan")[0]
        assert [row["here"] for row in plan["layers"]] == [False, False], plan
        assert plan["blobsToFetch"] == 3 and not plan["configChecked"], plan
        sizes = sum(layer["size"] for layer, _ in layers) + plan["config"]["size"]
        assert plan["bytesToFetch"] == sizes, plan
        # A pull then asks for the same manifests, and for the blobs that were named.
        asked = [row[1] for row in registry.requests]
        assert pulled(t, reference) == plan["imageId"]
        rest = [row[1] for row in registry.requests[len(asked):]]
        assert rest[:len(asked)] == asked, (asked, rest)
        assert len(rest) == len(asked) + plan["blobsToFetch"], rest
        more = registry.layout.layer(Tree().file("c", "c").done())
        registry.index("x", (registry.layout.image([layers[0], more]), own_platform()))
        plan = of_kind(explain(t, reference)[0], "plan")[0]
        assert [row["here"] for row in plan["layers"]] == [True, False], plan
        assert plan["blobsToFetch"] == 2 and not plan["imageHere"], plan


def test_a_mirror_that_is_down_and_a_token(t):
    with t.registry() as gone:
        pass
    with t.registry() as empty, t.registry() as registry:
        registry.small("x")
        registry.fault = token_fault(registry, user="me:secret-word")
        hosts_of(t, "explain.test", registry.host, gone.host, empty.host)
        for arguments, options in (
                (["--creds", "me:secret-word"], {}),
                (["--creds", "-"], {"input": "me:secret-word\n"}),
                ([], {"env": dict(os.environ, BERTH_CREDS="me:secret-word")})):
            steps, told, err = explain(t, "explain.test/test/x", *arguments, **options)
            assert [kind for kind, _ in steps] == [
                "reference", "credentials", "configuration", "endpoint", "endpoint", "endpoint",
                "request", "failed", "request", "failed", "request", "challenge", "token",
                "request", "manifest", "skipped", "request", "failed", "request", "plan"], steps
            requests = of_kind(steps, "request")
            assert [row["status"] for row in requests] == [0, 404, 401, 200, 404, 200], requests
            assert [row["authorization"] for row in requests] == [
                "", "", "", "Bearer", "", "Bearer"], requests
            assert all(row["ns"] == "explain.test" for row in requests), requests
            token = of_kind(steps, "token")[0]
            assert token["url"] == f"http://{registry.host}/token", token
            assert token["credentials"] == "user name and password", token
            assert token["scope"] == "repository:test/x:pull" and token["status"] == 200, token
            assert [row["getsCredentials"] for row in of_kind(steps, "endpoint")] == [
                False, False, True]
            assert "secret-word" not in json.dumps(told) + err, told
        text, err = t.berth("explain", "pull", "explain.test/test/x", code=1)
        assert "challenge   bearer" in text and "anonymously" in text, text
        assert "result      a pull would fail with UNAUTHENTICATED" in text, text
        assert "would fail: " in err and "who are you" in err, err
    with open(t.node.runtime.log, encoding="utf-8", errors="replace") as f:
        text = f.read()
    assert "secret-word" not in text and "let-me-in" not in text, "a secret is in the log"


def test_a_registry_with_passwords(t):
    work = os.path.join(t.tmp, "private")
    os.mkdir(work)
    registry = Registry(work, os.path.join(os.environ["BERTH_TEST_IMAGES"], "registry"), PRIVATE,
                        asks=True)
    try:
        reference = PRIVATE + "/e2e-test-images/busybox:1.29-2"
        steps, told, err = explain(t, reference, code=1)
        assert told["code"] == 16 and "401" in told["message"] and "401" in err, told
        challenge = of_kind(steps, "challenge")[0]
        assert challenge["challenges"][0]["scheme"] == "basic", challenge
        assert challenge["reason"] == "there is no user name and password for this host"
        steps, _, _ = explain(t, reference, "--creds", f"{USER}:not-this-word", code=1)
        assert of_kind(steps, "challenge")[-1]["reason"] == "user name and password were refused"
        steps, _, _ = explain(t, reference, "--creds", f"{USER}:{PASSWORD}")
        assert of_kind(steps, "challenge")[0]["answer"] == "basic", steps
        assert of_kind(steps, "plan")[0]["imageHere"], steps
        # HTTPS was tried before.
        assert [row["onlyIfUnreachable"] for row in of_kind(steps, "endpoint")] == [False, True]
    finally:
        registry.stop()


def test_what_would_fail(t):
    with t.registry() as registry:
        layer = registry.layout.layer(Tree().file("a", "b").done())
        other = registry.layout.image([layer], architecture="s390x")
        reference = registry.index("x", (other, {"os": "linux", "architecture": "s390x"}))
        steps, told, err = explain(t, reference, code=1)
        entry = of_kind(steps, "index")[0]["entries"][0]
        assert entry["verdict"] == "another system" and not entry["chosen"], entry
        assert told["code"] == 5 and "it has linux/s390x" in err, (told, err)
        # Without an index it is the configuration that tells.
        alone = registry.publish("alone", other)
        assert "s390x" in explain(t, alone, code=1)[2]
        steps, told, err = explain(t, f"{registry.host}/test/absent", code=1)
        assert told["code"] == 5 and "no such manifest" in err, (told, err)
        registry.fault = status_fault(503, "UNKNOWN", "broken")
        steps, told, err = explain(t, reference, code=1)
        assert of_kind(steps, "retry") and "RegistryUnavailable: " in err, (steps, err)
        message = t.fails("Unknown", "PullImage", {"image": {"image": reference}})
        assert told["code"] == 2 and told["message"] == message, (told, message)
    steps, told, err = explain(t, reference, code=1)
    assert told["code"] == 2 and "RegistryUnavailable: " in err, told
    write_hosts(t.node.runtime.certs, "wrong.test", 'servr = "x"\n')
    steps, told, err = explain(t, "wrong.test/x", code=1)
    assert "wrong.test/hosts.toml:1: servr: unknown key" in err, err
    assert of_kind(steps, "configuration") and not of_kind(steps, "endpoint"), steps


def test_the_time_is_bounded(t):
    with t.registry() as registry:
        reference = registry.small("x")
        registry.fault = silence_fault(is_manifest, 20)
        steps, told, _ = explain(t, reference, "--timeout", "0.5", code=1)
        assert told["code"] == 4, told
        assert of_kind(steps, "endpoint") and of_kind(steps, "failed"), steps


def test_wrong_input(t):
    assert "lower case" in t.berth("explain", "pull", "UPPER/case", code=1)[1]
    assert "--creds" in t.berth("explain", "pull", "x", "--creds", ":p", code=2)[1]
    for arguments in (["explain"], ["explain", "pull"], ["explain", "push", "x"],
                      ["explain", "pull", "x", "--timeout", "0"]):
        assert t.berth(*arguments, code=2)[1], arguments
    gone = os.path.join(t.tmp, "no.sock")
    assert "does berthd run?" in t.berth("explain", "pull", "x", code=1, socket=gone)[1]
