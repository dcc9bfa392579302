// SPDX-License-Identifier: Apache-2.0
// Which AppArmor profile a container is confined by.
#pragma once

#include <string>

#include "base/status.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// The name of a loaded profile, or empty: for Unconfined, for a privileged container, and for
// RuntimeDefault where the kernel has no AppArmor. `standard` is what RuntimeDefault means; empty:
// nothing. A container that says nothing gets it if it is loaded. InvalidArgument if a profile is
// asked for by name and is not loaded, or AppArmor is not on; FailedPrecondition, telling how to
// load it, if RuntimeDefault is asked for and `standard` is not loaded. `sys` is where sysfs is.
// Thread safe.
StatusOr<std::string> BuildApparmorProfile(const ContainerSecurity& security,
                                           const std::string& standard,
                                           const std::string& sys = "/sys");

// Whether the kernel has AppArmor on and lacks the profile. Thread safe.
bool ApparmorLacks(const std::string& profile, const std::string& sys = "/sys");

}  // namespace berth::sandbox
