// SPDX-License-Identifier: Apache-2.0
// What Exec, Attach and PortForward ask for, checked, with full IDs.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "sandbox/streams.h"

namespace berth::cri::streaming {

struct ExecRequest {
  std::string container_id;
  std::vector<std::string> command;
  sandbox::StreamSelection selection;
};

struct AttachRequest {
  std::string container_id;
  sandbox::StreamSelection selection;
};

struct ForwardRequest {
  std::string pod_id;
  std::vector<uint16_t> ports;  // for clients that cannot name them stream by stream
};

using Request = std::variant<ExecRequest, AttachRequest, ForwardRequest>;

// The first element of a URL's path: exec, attach or portforward.
constexpr const char* KindOf(const Request& request) {
  constexpr const char* kKinds[] = {"exec", "attach", "portforward"};
  return kKinds[request.index()];
}

}  // namespace berth::cri::streaming
