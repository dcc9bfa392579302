// SPDX-License-Identifier: Apache-2.0
// Annotations that put a container into a class of cache and memory bandwidth (Intel RDT) or of
// block I/O. Both are sets of limits that a node's configuration names; berth knows none. Thread
// safe: pure functions.
#pragma once

#include "base/status.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// FailedPrecondition naming the annotation that asks for a class, as with other runtimes whose
// node configures none: who asks for a guarantee must not run without it. An empty class is none.
Status CheckResourceClasses(const PodConfig& pod, const ContainerConfig& container);

}  // namespace berth::sandbox
