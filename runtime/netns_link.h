// SPDX-License-Identifier: Apache-2.0
// A pod's network namespace by name: a link to the monitor's descriptor, which nsenter, ip and
// statfs follow; so the host's mount table gains no row. Thread safe: links are made
// one at a time.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"

namespace berth::runtime {

// "/run/netns/<instance>-<13 digits of the pod's ID>".
std::string NetnsPath(const std::string& instance, const std::string& pod_id);

// Points it at descriptor `fd` of process `monitor`, whether it exists or not.
Status LinkNetns(const std::string& path, pid_t monitor, int fd);
// Whether the name leads to the namespace that `netns` is.
bool LeadsTo(const std::string& path, int netns);
// Missing is OK.
Status UnlinkNetns(const std::string& path);

}  // namespace berth::runtime
