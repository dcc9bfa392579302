// SPDX-License-Identifier: Apache-2.0
// Looks up device nodes of the host for containers that ask for them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "sandbox/spec_builder.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// The nodes that `devices` name, a directory standing for all nodes below it, with the permissions
// asked for. NotFound or InvalidArgument naming devices[i].
StatusOr<std::vector<std::pair<HostDevice, std::string>>> FindDevices(
    const std::vector<Device>& devices);

// Every device below /dev but those that each container has of its own (pts, shm, mqueue, fd,
// console, the default nodes).
StatusOr<std::vector<std::pair<HostDevice, std::string>>> AllHostDevices();

}  // namespace berth::sandbox
