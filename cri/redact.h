// SPDX-License-Identifier: Apache-2.0
// Messages as text for logs, without the secrets they carry.
#pragma once

#include <google/protobuf/message.h>

#include <span>
#include <string>
#include <string_view>

namespace berth::cri {

// Full names of the fields that are never printed ("runtime.v1.AuthConfig.password").
std::span<const std::string_view> SecretFields();

// One line of text; secret fields and the values of environment variables read "[REDACTED]". At
// most about `cap` bytes. Thread safe.
std::string RedactedText(const google::protobuf::Message& message, size_t cap = 4096);

}  // namespace berth::cri
