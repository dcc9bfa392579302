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

Status TooLong(const std::string& name, size_t size, size_t limit) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": ", size, " bytes long; the limit is ", limit));
}

Status HoldsNul(const std::string& name) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": contains a NUL byte"));
}

Status CheckText(const FieldDescriptor* field, const std::string& text, const std::string& name) {
  if (text.size() > kMaxText) return TooLong(name, text.size(), kMaxText);
  const bool bytes = field->type() == FieldDescriptor::TYPE_BYTES;
  return !bytes && text.find('\0') != std::string::npos ? HoldsNul(name) : absl::OkStatus();
}

// Data that is only given back, and nothing is named after.
bool IsData(const FieldDescriptor* map) {
  return map->name() == "labels" || map->name() == "annotations" || map->name() == "label_selector";
}

// All maps of the API are of strings.
Status CheckEntry(const FieldDescriptor* map, const Message& entry, const std::string& path) {
  const google::protobuf::Descriptor* type = entry.GetDescriptor();
  const std::string key = entry.GetReflection()->GetString(entry, type->map_key());
  const std::string value = entry.GetReflection()->GetString(entry, type->map_value());
  const std::string name = absl::StrCat(path, "[\"", key.substr(0, 64), "\"]");
  const size_t size = key.size() + value.size();
  if (size > kMaxMapEntry) return TooLong(name, size, kMaxMapEntry);
  if (IsData(map)) return absl::OkStatus();
  const bool nul = key.find('\0') != std::string::npos || value.find('\0') != std::string::npos;
  return nul ? HoldsNul(path) : absl::OkStatus();
}

Status Check(const Message& message, const std::string& path);

Status CheckField(const Message& message, const FieldDescriptor* field, const std::string& path) {
  const Reflection* reflection = message.GetReflection();
  const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
  const std::string base = path.empty() ? field->name() : absl::StrCat(path, ".", field->name());
  for (int i = 0; i < count; ++i) {
    if (field->is_map()) {
      RETURN_IF_ERROR(CheckEntry(field, reflection->GetRepeatedMessage(message, field, i), base));
      continue;
    }
    const std::string name = field->is_repeated() ? absl::StrCat(base, "[", i, "]") : base;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RETURN_IF_ERROR(Check(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                                 : reflection->GetMessage(message, field),
                            name));
      continue;
    }
    std::string scratch;
    RETURN_IF_ERROR(CheckText(
        field,
        field->is_repeated() ? reflection->GetRepeatedStringReference(message, field, i, &scratch)
                             : reflection->GetStringReference(message, field, &scratch),
        name));
  }
  return absl::OkStatus();
}

Status Check(const Message& message, const std::string& path) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING &&
        field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
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
