# SPDX-License-Identifier: Apache-2.0
"""Registries as a node's operator configures them, and the credentials that kubelet sends."""

import base64

from cases.pulls import pulled, refused
from harness.fake_registry import token_fault
from harness.registry import write_hosts

SECRET = "a-hidden-word"


def kinds():
    """(name, AuthConfig) of each way to say who one is."""
    encoded = base64.b64encode(f"me:{SECRET}".encode() + b"\0").decode()
    return (("password", {"username": "me", "password": SECRET}), ("auth", {"auth": encoded}),
            ("identity token", {"identityToken": SECRET}),
            ("registry token", {"registryToken": SECRET}))


def guard(registry):
    registry.fault = token_fault(registry, token=SECRET, user="me:" + SECRET, refresh=SECRET)


def unseen(registry):
    """No credentials of any kind have reached the registry."""
    return all(row[0] == "GET" and row[2] is None for row in registry.requests)


def test_each_kind_of_credentials(t):
    with t.registry() as registry:
        reference = registry.small("x")
        guard(registry)
        assert SECRET not in refused(t, reference, "Unauthenticated")
        for name, auth in kinds():
            registry.requests.clear()
            assert pulled(t, reference, auth=auth), name
            t.call("RemoveImage", {"image": {"image": reference}})
            posts = [row for row in registry.requests if row[0] == "POST"]
            assert bool(posts) == (name == "identity token"), registry.requests
            tokens = [row for row in registry.requests if row[1].startswith("/token")]
            assert bool(tokens) == (name != "registry token"), registry.requests
    with open(t.node.runtime.log, encoding="utf-8", errors="replace") as f:
        assert SECRET not in f.read(), "a secret is in the log"


def test_server_address_confines_credentials(t):
    with t.registry() as registry:
        reference = registry.small("x")
        guard(registry)
        for name, auth in kinds():
            registry.requests.clear()
            refused(t, reference, "Unauthenticated", auth=dict(auth, serverAddress="other.test"))
            assert registry.requests and unseen(registry), (name, registry.requests)
            own = dict(auth, serverAddress=f"https://{registry.host}/v1/")
            assert pulled(t, reference, auth=own), name
            t.call("RemoveImage", {"image": {"image": reference}})


def test_mirrors_get_no_credentials(t):
    with t.registry() as mirror, t.registry() as registry:
        registry.small("x")
        mirror.small("x")
        guard(mirror)
        guard(registry)
        write_hosts(t.node.runtime.certs, "mirrored.test",
                    f'server = "http://{registry.host}"\n[host."http://{mirror.host}"]\n')
        for name, auth in kinds():
            mirror.requests.clear()
            assert pulled(t, "mirrored.test/test/x", auth=auth), name
            t.call("RemoveImage", {"image": {"image": "mirrored.test/test/x"}})
            assert mirror.requests and unseen(mirror), (name, mirror.requests)


def test_hosts_file_is_read_at_each_pull(t):
    with t.registry() as first, t.registry() as second:
        for registry in (first, second):
            registry.small("x")
            write_hosts(t.node.runtime.certs, "changing.test", f'server = "http://{registry.host}"\n')
            assert pulled(t, "changing.test/test/x")
            assert registry.requests
        count = len(first.requests)
        write_hosts(t.node.runtime.certs, "changing.test",
                    f'server = "http://{first.host}"\n[host."http://{second.host}"]\n'
                    'capabilities = ["pull"]\n')
        assert pulled(t, "changing.test/test/x")
        assert len(first.requests) > count
        write_hosts(t.node.runtime.certs, "changing.test", '\nserver = "x y"\n')
        message = refused(t, "changing.test/test/x", "FailedPrecondition")
        assert "changing.test/hosts.toml:2: " in message, message
