// SPDX-License-Identifier: Apache-2.0
// `berth timeline`: what a pod's way up took, for people and for programs.
#pragma once

#include <string>

#include "cri/api/berth/v1/admin.pb.h"

namespace berth {

// A table: when each call and its steps began, counted from the beginning of the first, and how
// long they took, in milliseconds. With a line feed at the end.
std::string TimelineText(const ::berth::v1::TimelineResponse& timeline);

// One JSON object with the same, times in nanoseconds since the epoch.
std::string TimelineJson(const ::berth::v1::TimelineResponse& timeline);

}  // namespace berth
