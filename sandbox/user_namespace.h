// SPDX-License-Identifier: Apache-2.0
// A pod's user namespace as the CRI asks for it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "runtime/runtime.h"
#include "sandbox/types.h"

namespace berth::sandbox {

bool HasUserNamespace(const PodConfig& pod);

// InvalidArgument naming the field for anything but NODE, or POD with exactly one mapping of uids
// and one of gids, both from container ID 0 and of one length, and with the other namespaces that
// such a pod must own.
Status CheckUserNamespace(const NamespaceOptions& options);

// A container has its pod's, whether it repeats the mappings or says nothing. InvalidArgument if it
// asks for another, or if a mount's mappings are not the pod's.
Status CheckUserNamespaceOf(const ContainerConfig& container, const PodConfig& pod);

std::vector<runtime::IdMapping> PodMappings(const std::vector<IdRange>& ranges);
std::vector<runtime::spec::IdMapping> SpecMappings(const std::vector<IdRange>& ranges);

// Who is root in the pod, as the node sees it.
std::pair<uint32_t, uint32_t> HostRoot(const PodConfig& pod);

// The number of IDs that the pod has; all of them without a user namespace.
uint32_t MappedGids(const PodConfig& pod);

}  // namespace berth::sandbox
