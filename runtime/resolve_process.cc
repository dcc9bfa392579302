// SPDX-License-Identifier: Apache-2.0
#include "runtime/resolve_process.h"

#include "runtime/security/capabilities.h"
#include "runtime/security/rlimits.h"

namespace berth::runtime {

StatusOr<ProcessSecurity> ResolveSecurity(const spec::Spec& spec, SeccompCompiler& compiler) {
  if (!spec.process.has_value()) return absl::InvalidArgumentError("process: missing");
  const spec::Process& process = *spec.process;
  ProcessSecurity security;
  if (process.capabilities.has_value()) {
    ASSIGN_OR_RETURN(security.resolved.capabilities,
                     CapabilitiesFromSpec(*process.capabilities, AvailableCapabilities(),
                                          /*missing=*/nullptr));
  }
  ASSIGN_OR_RETURN(security.resolved.rlimits, ResolveRlimits(process.rlimits, LimitPolicy::kClamp));
  if (spec.linux.seccomp.has_value()) {
    ASSIGN_OR_RETURN(security.filter, compiler.Compile(*spec.linux.seccomp));
    if (security.filter->notify) {
      return absl::UnimplementedError("linux.seccomp: a listener is not supported");
    }
    security.resolved.seccomp_filter = {
        reinterpret_cast<const char*>(security.filter->filter.data()),
        security.filter->filter.size() * sizeof(sock_filter)};
    security.resolved.seccomp_flags = security.filter->flags;
  }
  return security;
}

}  // namespace berth::runtime
