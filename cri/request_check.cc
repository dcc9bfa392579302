// SPDX-License-Identifier: Apache-2.0
#include "cri/request_check.h"

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace berth::cri {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Status Check(const Message& message, const std::string& path);

Status CheckField(const Message& message, const FieldDescriptor* field, const std::string& path) {
  const Reflection* reflection = message.GetReflection();
  const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
  for (int i = 0; i < count; ++i) {
    std::string name = path.empty() ? field->name() : absl::StrCat(path, ".", field->name());
    if (field->is_repeated()) absl::StrAppend(&name, "[", i, "]");
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RETURN_IF_ERROR(Check(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                                 : reflection->GetMessage(message, field),
                            name));
      continue;
    }
    std::string scratch;
    const std::string& text =
        field->is_repeated() ? reflection->GetRepeatedStringReference(message, field, i, &scratch)
                             : reflection->GetStringReference(message, field, &scratch);
    if (text.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": contains a NUL byte"));
    }
  }
  return absl::OkStatus();
}

Status Check(const Message& message, const std::string& path) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_map()) continue;
    if (field->type() != FieldDescriptor::TYPE_STRING &&
        field->type() != FieldDescriptor::TYPE_MESSAGE) {
      continue;
    }
    RETURN_IF_ERROR(CheckField(message, field, path));
  }
  return absl::OkStatus();
}

}  // namespace

Status CheckRequest(const Message& request) { return Check(request, ""); }

bool IsNamedPullFailure(std::string_view message) {
  return message.starts_with("RegistryUnavailable: ") ||
         message.starts_with("SignatureValidationFailed: ");
}

}  // namespace berth::cri
