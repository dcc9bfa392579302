// SPDX-License-Identifier: Apache-2.0
// The RPCs that answer with a URL: Exec, Attach, PortForward.
#pragma once

#include "base/context.h"
#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/streaming/server.h"
#include "sandbox/streams.h"

namespace berth::cri {

// Thread safe. Nothing here blocks.
class StreamingHandlers {
 public:
  StreamingHandlers(const sandbox::Streams* streams, streaming::Server* server)
      : streams_(streams), server_(server) {}

  StatusOr<::runtime::v1::ExecResponse> Exec(const Context& context,
                                             const ::runtime::v1::ExecRequest& request);
  StatusOr<::runtime::v1::AttachResponse> Attach(const Context& context,
                                                 const ::runtime::v1::AttachRequest& request);
  StatusOr<::runtime::v1::PortForwardResponse> PortForward(
      const Context& context, const ::runtime::v1::PortForwardRequest& request);

 private:
  const sandbox::Streams* const streams_;
  streaming::Server* const server_;
};

}  // namespace berth::cri
