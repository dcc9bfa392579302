// SPDX-License-Identifier: Apache-2.0
// How berth-unpack locks itself in before it reads a byte of the layer.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::images::unpack {

// Irreversibly, for the whole (single-threaded) process, in this order: resource limits; own mount,
// network, IPC and UTS namespaces; the directory `root_fd` as "/", mounted nodev, nosuid, noexec
// (device nodes can be made, not opened); the capabilities CHOWN, DAC_OVERRIDE, FOWNER, FSETID,
// MKNOD, SETFCAP and SYS_ADMIN only; no_new_privs; an allow-list of system calls that has neither
// mount, setns, unshare, ptrace, bpf, sockets, execve nor new processes. Any other call kills.
// The user namespace stays the initial one: device nodes and trusted.overlay.* need it.
// Returns the new root directory; `root_fd` is closed.
StatusOr<UniqueFd> Confine(UniqueFd root_fd, uint64_t max_file_bytes);

}  // namespace berth::images::unpack
