// SPDX-License-Identifier: Apache-2.0
// Which AppArmor profile a container is confined by.
#pragma once

#include <string>

#include "base/status.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// The name of a loaded profile, or empty: for Unconfined, for a privileged container, and for
// RuntimeDefault, since there is no profile of our own. InvalidArgument if a profile is asked for
// by name and is not loaded, or AppArmor is not on. `sys` is where sysfs is. Thread safe.
StatusOr<std::string> BuildApparmorProfile(const ContainerSecurity& security,
                                           const std::string& sys = "/sys");

}  // namespace berth::sandbox
