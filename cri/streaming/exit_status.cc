// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/exit_status.h"

#include "base/json.h"

namespace berth::cri::streaming {
namespace {

std::string ExitMessage(int32_t exit_code) {
  return absl::StrCat("command terminated with non-zero exit code: exit status ", exit_code);
}

}  // namespace

std::string ExitText(StatusForm form, int32_t exit_code) {
  if (form == StatusForm::kText) return exit_code == 0 ? "" : ExitMessage(exit_code);
  json::Object status;
  status["metadata"] = json::Object();
  status["status"] = exit_code == 0 ? "Success" : "Failure";
  if (exit_code != 0) {
    json::Object cause;
    cause["reason"] = "ExitCode";
    cause["message"] = std::to_string(exit_code);
    json::Object details;
    details["causes"] = json::Array{std::move(cause)};
    status["reason"] = "NonZeroExitCode";
    status["message"] = ExitMessage(exit_code);
    status["details"] = std::move(details);
  }
  return json::Serialize(status);
}

std::string FailureText(StatusForm form, const Status& failure) {
  std::string message(failure.message());
  if (form == StatusForm::kText) return message;
  json::Object status;
  status["metadata"] = json::Object();
  status["status"] = "Failure";
  status["reason"] = "InternalError";
  status["message"] = message;
  status["code"] = 500;
  return json::Serialize(status);
}

}  // namespace berth::cri::streaming
