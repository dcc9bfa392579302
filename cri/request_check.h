// SPDX-License-Identifier: Apache-2.0
// What is checked of every request before anybody reads it, and how failures are told apart.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <string_view>

#include "base/status.h"

namespace berth::cri {

// The kernel takes no argument and no variable of the environment that is longer.
inline constexpr size_t kMaxText = 128 << 10;
// Of a label, an annotation and the like; Kubernetes' limit is 256 KiB for all of an object.
inline constexpr size_t kMaxMapEntry = 512 << 10;

// InvalidArgument naming the first field that is too long or holds a NUL byte. Below, strings
// become paths and arguments of system calls, where a NUL would end them early; labels, annotations
// and bytes may hold it. Thread safe.
Status CheckRequest(const google::protobuf::Message& request);

// True for the two texts of PullImage that kubelet tells apart.
bool IsNamedPullFailure(std::string_view message);

}  // namespace berth::cri
