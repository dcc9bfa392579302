// SPDX-License-Identifier: Apache-2.0
#include "cri/call.h"

#include "base/log.h"
#include "cri/redact.h"
#include "cri/request_check.h"

namespace berth::cri {

void LogFailure(const char* method, const Status& status,
                const google::protobuf::Message& request) {
  switch (status.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kResourceExhausted:
      log::Warning(method, ": ", status.ToString());
      break;
    default:
      log::Info(method, ": ", status.ToString());
  }
  if (log::Enabled(log::Level::kDebug)) {
    log::Debug(method, " request: ", RedactedText(request));
  }
}

void Admission::Begin(const google::protobuf::Message& request,
                      std::function<void(const Status&)> go) {
  go_ = std::move(go);
  if (Status status = CheckRequest(request); !status.ok()) return go_(status);
  if (route_.gate == nullptr) return Dispatch();
  const uint64_t ticket = route_.gate->Enter([this] { Dispatch(); });
  // With ticket 0 the body may have finished the call by now.
  if (ticket != 0) ticket_.store(ticket);
}

void Admission::Dispatch() {
  if (route_.executor == nullptr) return Go();
  if (Status status = route_.executor->Post([this] { Go(); }); !status.ok()) go_(status);
}

void Admission::Cancel() {
  stop_.request_stop();
  const uint64_t ticket = ticket_.load();
  if (ticket != 0 && route_.gate->Leave(ticket)) {
    go_(absl::UnavailableError("not ready: recovery has not finished"));
  }
}

}  // namespace berth::cri
