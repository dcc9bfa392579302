// SPDX-License-Identifier: Apache-2.0
// What records look like from outside: pure.
#pragma once

#include "sandbox/records.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// Without the verbose parts, which only a running daemon knows.
PodStatus Describe(const PodRecord& record);
ContainerStatus Describe(const ContainerRecord& record);
// As much of it as lists show; a configuration is large, and most of it is not in any list.
ContainerStatus Summarize(const ContainerRecord& record);
// What statistics name it by: ID, metadata, labels, annotations, creation, a container's image.
PodStatus Identify(const PodRecord& record);
ContainerStatus Identify(const ContainerRecord& record);

}  // namespace berth::sandbox
