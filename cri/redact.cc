// SPDX-License-Identifier: Apache-2.0
#include "cri/redact.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <memory>

#include "cri/api/runtime/v1/api.pb.h"

namespace berth::cri {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::TextFormat;

constexpr std::string_view kSecretFields[] = {
    "runtime.v1.AuthConfig.password",
    "runtime.v1.AuthConfig.auth",
    "runtime.v1.AuthConfig.identity_token",
    "runtime.v1.AuthConfig.registry_token",
};
// Not secret by the API's word, but full of secrets by habit.
constexpr std::string_view kPrivateFields[] = {"runtime.v1.KeyValue.value"};

class Redacted : public TextFormat::FastFieldValuePrinter {
 public:
  void PrintString(const std::string&, TextFormat::BaseTextGenerator* out) const override {
    out->PrintLiteral("[REDACTED]");
  }
  void PrintBytes(const std::string&, TextFormat::BaseTextGenerator* out) const override {
    out->PrintLiteral("[REDACTED]");
  }
};

std::unique_ptr<TextFormat::Printer> MakePrinter() {
  // The generated pool knows a file's messages once one of them was touched.
  (void)::runtime::v1::AuthConfig::descriptor();
  auto printer = std::make_unique<TextFormat::Printer>();
  printer->SetSingleLineMode(true);
  printer->SetUseShortRepeatedPrimitives(true);
  const auto hide = [&printer](std::string_view name) {
    const FieldDescriptor* field =
        DescriptorPool::generated_pool()->FindFieldByName(std::string(name));
    if (field != nullptr) printer->RegisterFieldValuePrinter(field, new Redacted);
  };
  for (std::string_view name : kSecretFields) hide(name);
  for (std::string_view name : kPrivateFields) hide(name);
  return printer;
}

}  // namespace

std::span<const std::string_view> SecretFields() { return kSecretFields; }

std::string RedactedText(const google::protobuf::Message& message, size_t cap) {
  static const TextFormat::Printer& printer = *MakePrinter().release();
  std::string text;
  printer.PrintToString(message, &text);
  if (text.size() > cap) {
    text.resize(cap);
    text += "...";
  }
  return text;
}

}  // namespace berth::cri
