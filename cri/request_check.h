// SPDX-License-Identifier: Apache-2.0
// What is checked of every request before anybody reads it, and how failures are told apart.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "base/status.h"

namespace berth::cri {

// InvalidArgument naming the first string field that holds a NUL byte: below, strings become paths
// and arguments of system calls, where a NUL would end them early. Maps (labels, annotations) and
// bytes are left alone. Thread safe.
Status CheckRequest(const google::protobuf::Message& request);

// True for the two texts of PullImage that kubelet tells apart.
bool IsNamedPullFailure(std::string_view message);

}  // namespace berth::cri
