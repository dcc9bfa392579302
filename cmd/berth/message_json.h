// SPDX-License-Identifier: Apache-2.0
// Answers of berthd as JSON for programs.
#pragma once

#include <google/protobuf/message.h>

#include "base/json.h"

namespace berth {

// Every field under its name in lower camel case, defaults too; of a oneof the member that is set,
// and messages that are set. Unlike in protobuf's own mapping, 64-bit numbers are numbers.
json::Object MessageJson(const google::protobuf::Message& message);

}  // namespace berth
