# SPDX-License-Identifier: Apache-2.0
"""The clients of a runtime: the real crictl, and criraw, which makes any call."""

import json
import os
import queue
import signal
import subprocess
import threading


class CallError(Exception):
    """A CRI call that failed: code is the gRPC code's name, such as NotFound."""

    def __init__(self, method, code, message):
        super().__init__(f"{method}: {code}: {message}")
        self.code = code
        self.message = message


class Raw:
    """CRI calls over one connection that stays open. Requests and answers are JSON objects with
    field names in the form of protocol buffers' JSON (podSandboxId)."""

    def __init__(self, program, socket):
        self._process = subprocess.Popen(
            [program, "-socket", socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self):
        return self._process.pid

    def call(self, method, request=None, timeout=120, cancel_after=0):
        """The answer of a call; raises CallError. Times are in seconds."""
        answer = self.answer(method, request, timeout, cancel_after)
        if "code" in answer:
            raise CallError(method, answer["code"], answer.get("message", ""))
        return answer["response"] if "response" in answer else answer.get("responses", [])

    def answer(self, method, request=None, timeout=120, cancel_after=0):
        """The whole answer: response, or code and message; ms is how long it took."""
        self._process.stdin.write(json.dumps({
            "method": method, "request": request or {}, "timeout_ms": int(timeout * 1000),
            "cancel_after_ms": int(cancel_after * 1000)}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"criraw ended at {method} {request}")
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Stream:
    """A streaming call in a process of its own, whose messages can be waited for."""

    def __init__(self, program, socket, method, request=None, timeout=60):
        self._process = subprocess.Popen([program, "-socket", socket], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.end = None  # the last line: code and message, if it failed
        self._lines = queue.Queue()
        self._process.stdin.write(json.dumps({
            "method": method, "request": request or {}, "timeout_ms": int(timeout * 1000),
            "live": True}) + "\n")
        self._process.stdin.flush()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put({"code": "Canceled", "message": "the client has ended"})

    def _next(self, seconds):
        if self.end is not None:
            return None
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no message in {seconds} s") from None
        if "code" not in line and "ms" not in line:
            return line
        self.end = line
        return None

    def await_headers(self, seconds=20):
        """Waits for the answer to begin."""
        line = self._next(seconds)
        assert line is not None and line.get("headers"), f"the call failed: {self.end}"
        return self

    def message(self, seconds=20):
        """The next message; None if the stream has ended, as `end` says."""
        line = self._next(seconds)
        return line and line["message"]

    def close(self):
        """Ends the client in the middle of the call."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()

    def pause(self):
        """The client reads no more."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)


class Crictl:
    def __init__(self, program, socket):
        self._command = [program, "--config", "/dev/null", "--runtime-endpoint", "unix://" + socket,
                         "--image-endpoint", "unix://" + socket, "--timeout", "60s"]

    def run(self, *arguments, check=True, timeout=120):
        """Runs crictl; the result has returncode, stdout and stderr."""
        result = subprocess.run([*self._command, *map(str, arguments)], capture_output=True,
                                text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                                env={"PATH": os.environ["PATH"], "HOME": "/root"})
        if check and result.returncode != 0:
            raise AssertionError(
                f"crictl {' '.join(map(str, arguments))}: exit {result.returncode}: "
                f"{result.stderr.strip()}")
        return result

    def start(self, *arguments):
        """Starts crictl and does not wait for it."""
        return subprocess.Popen([*self._command, *map(str, arguments)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def open(self, *arguments, **options):
        """Starts crictl with streams of bytes; options are those of subprocess.Popen."""
        options = dict({"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                        "stderr": subprocess.PIPE}, **options)
        return subprocess.Popen([*self._command, *map(str, arguments)], **options)

    def __call__(self, *arguments, **options):
        """The output of a crictl command that must succeed, without its last line end."""
        return self.run(*arguments, **options).stdout.strip()

    def fails(self, *arguments, **options):
        """The error output of a crictl command that must fail."""
        result = self.run(*arguments, check=False, **options)
        if result.returncode == 0:
            raise AssertionError(f"crictl {' '.join(map(str, arguments))} did not fail")
        return result.stderr

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, **options))
