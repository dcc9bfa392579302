// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming_handlers.h"

#include "cri/translate_common.h"

namespace berth::cri {
namespace {

template <typename Proto>
StatusOr<sandbox::StreamSelection> FromSelection(const Proto& request) {
  if (request.tty() && request.stderr()) {
    return Invalid("", "stderr", "must not be set with tty, whose one stream is stdout");
  }
  if (!request.stdin() && !request.stdout() && !request.stderr()) {
    return absl::InvalidArgumentError("one of stdin, stdout and stderr must be set");
  }
  sandbox::StreamSelection selection;
  selection.tty = request.tty();
  selection.in = request.stdin();
  selection.out = request.stdout();
  selection.err = request.stderr();
  return selection;
}

}  // namespace

StatusOr<v1::ExecResponse> StreamingHandlers::Exec(const Context&, const v1::ExecRequest& request) {
  if (request.container_id().empty()) return Invalid("", "container_id", "must not be empty");
  if (request.cmd().empty() || request.cmd(0).empty()) {
    return Invalid("", "cmd", "must not be empty");
  }
  streaming::ExecRequest exec;
  ASSIGN_OR_RETURN(exec.selection, FromSelection(request));
  ASSIGN_OR_RETURN(exec.container_id, streams_->CheckContainer(request.container_id()));
  exec.command = FromStrings(request.cmd());
  v1::ExecResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), server_->UrlFor(std::move(exec)));
  return response;
}

StatusOr<v1::AttachResponse> StreamingHandlers::Attach(const Context&,
                                                       const v1::AttachRequest& request) {
  if (request.container_id().empty()) return Invalid("", "container_id", "must not be empty");
  streaming::AttachRequest attach;
  ASSIGN_OR_RETURN(attach.selection, FromSelection(request));
  ASSIGN_OR_RETURN(attach.container_id, streams_->CheckContainer(request.container_id()));
  v1::AttachResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), server_->UrlFor(std::move(attach)));
  return response;
}

StatusOr<v1::PortForwardResponse> StreamingHandlers::PortForward(
    const Context&, const v1::PortForwardRequest& request) {
  if (request.pod_sandbox_id().empty()) return Invalid("", "pod_sandbox_id", "must not be empty");
  streaming::ForwardRequest forward;
  for (int i = 0; i < request.port_size(); ++i) {
    if (request.port(i) < 1 || request.port(i) > 65535) {
      return Invalid("", At("", "port", i), absl::StrCat(request.port(i), " is no port"));
    }
    forward.ports.push_back(static_cast<uint16_t>(request.port(i)));
  }
  ASSIGN_OR_RETURN(forward.pod_id, streams_->CheckPod(request.pod_sandbox_id()));
  v1::PortForwardResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), server_->UrlFor(std::move(forward)));
  return response;
}

}  // namespace berth::cri
