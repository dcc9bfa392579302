// SPDX-License-Identifier: Apache-2.0
// The configuration of a container as an external OCI runtime needs it. Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "runtime/external/bundle.h"
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

// `spec` with the pod's namespaces by path, and what is mounted in the bundle bound from there: the
// root, the volumes that are images and, with `shared_memory`, the pod's.
spec::Spec ExternalSpec(const spec::Spec& spec, const NamespacePaths& paths, const Bundle& bundle,
                        bool shared_memory);

// Unimplemented naming what an external runtime is not given.
Status CheckExternal(const spec::Spec& spec);

}  // namespace berth::runtime
