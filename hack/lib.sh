# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts in hack/: paths, messages, and the Go toolchain.

berth_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export berth_root
# Everything slow to make is kept here, by version or by the hash of what makes it.
export BERTH_CACHE=${BERTH_CACHE:-/var/cache/berth}

# The exit code of a script whose work cannot be done on this machine; its last line says why.
export EXIT_UNAVAILABLE=77

say() { printf '%s\n' "$*" >&2; }
step() { printf '== %s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}
unavailable() {
  printf '%s\n' "$*" >&2
  exit "$EXIT_UNAVAILABLE"
}

need_root() { [ "$(id -u)" = 0 ] || die "must be run as root"; }

# Puts go into PATH and fixes its settings; unavailable when there is no Go.
use_go() {
  if ! command -v go >/dev/null 2>&1; then
    [ -x /usr/local/go/bin/go ] || unavailable "go not found in PATH nor in /usr/local/go/bin"
    PATH=$PATH:/usr/local/go/bin
  fi
  export GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false" GOWORK=off
  # Go has no home of its own when HOME is not set, as in some CI runners.
  export GOPATH=${GOPATH:-${HOME:-$BERTH_CACHE}/go} GOCACHE=${GOCACHE:-$BERTH_CACHE/go-build}
}

# with_lock NAME COMMAND...: one at a time on this machine, since the cache is shared.
with_lock() {
  local name=$1
  shift
  mkdir -p "$BERTH_CACHE"
  (
    exec 9>"$BERTH_CACHE/$name.lock"
    flock 9
    "$@" 9>&-
  )
}
