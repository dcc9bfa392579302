// SPDX-License-Identifier: Apache-2.0
// The configuration of a container as an external OCI runtime needs it. Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

// Paths of the pod's namespaces as the external runtime can open them; empty: the host's.
struct NamespacePaths {
  std::string network;
  std::string ipc;
  std::string uts;
  std::string pid;       // joined where it is set, else as `own_pid` says
  bool own_pid = false;  // a new one
};

// `spec` with the pod's namespaces by path, the root at "rootfs" of the bundle and, where it is
// set, the pod's shared memory bound from `shm_path`.
spec::Spec ExternalSpec(const spec::Spec& spec, const NamespacePaths& paths,
                        const std::string& shm_path);

// Unimplemented naming what an external runtime is not given.
Status CheckExternal(const spec::Spec& spec);

}  // namespace berth::runtime
