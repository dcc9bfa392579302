// SPDX-License-Identifier: Apache-2.0
// `berth explain pull`: what a pull would do and why, for people and for programs.
#pragma once

#include <string>

#include "base/status.h"
#include "cri/api/berth/v1/explain.pb.h"

namespace berth {

// One line or some for each step, with a label before it, and the result at the end.
std::string ExplainText(const ::berth::v1::ExplainPullResponse& response);

// One JSON object with the same.
std::string ExplainJson(const ::berth::v1::ExplainPullResponse& response);

// "USER[:PASSWORD]". InvalidArgument, without the text, if there is no user in it.
StatusOr<::runtime::v1::AuthConfig> ParseCreds(const std::string& text);

}  // namespace berth
