# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced: hands the paths of clients, runtimes and images to the Python harness.

berth_root=${berth_root:?}

# export_tools NAME...: BERTH_TOOL_NAME, with _ for - and ., for tools that hack/tools/build makes.
export_tools() {
  local name path
  for name; do
    path=$("$berth_root/hack/tools/build" "$name")
    name=${name^^}
    export "BERTH_TOOL_${name//[-.]/_}=$path"
  done
}

# berth_program NAME: a program of ours, from $BERTH_BUILD (default: the release build).
berth_program() {
  local build=${BERTH_BUILD:-$berth_root/build/release} path
  path=$(find "$build" -name "$1" -type f -perm /100 2>/dev/null | head -n 1)
  [ -n "$path" ] || die "no $1 in $build: build it first (hack/test does)"
  echo "$path"
}

# test_tools [ARGUMENT...]: everything the harness needs; containerd only where it is asked for.
test_tools() {
  export_tools crictl criraw cristorm
  BERTH_TEST_IMAGES=$("$berth_root/hack/images/build")
  export BERTH_TEST_IMAGES
  case " $* " in
    *" containerd "* | *=containerd*) export_tools containerd containerd-shim-runc-v2 runc ctr ;;
    *)
      BERTH_TOOL_BERTHD=$(berth_program berthd)
      BERTH_TOOL_BERTH=$(berth_program berth)
      export BERTH_TOOL_BERTHD BERTH_TOOL_BERTH
      ;;
  esac
}
