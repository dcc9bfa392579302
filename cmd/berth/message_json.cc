// SPDX-License-Identifier: Apache-2.0
#include "cmd/berth/message_json.h"

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <utility>

namespace berth {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

json::Value Single(const Message& message, const FieldDescriptor* field) {
  const Reflection& access = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return static_cast<int64_t>(access.GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<int64_t>(access.GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return static_cast<uint64_t>(access.GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<uint64_t>(access.GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return access.GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return static_cast<double>(access.GetFloat(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return access.GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return json::Value(access.GetEnum(message, field)->name());
    case FieldDescriptor::CPPTYPE_STRING:
      return json::Value(access.GetString(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return MessageJson(access.GetMessage(message, field));
}

// Only strings and messages are repeated in what berthd answers.
json::Array Repeated(const Message& message, const FieldDescriptor* field) {
  const Reflection& access = *message.GetReflection();
  json::Array array;
  for (int i = 0; i < access.FieldSize(message, field); ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      array.emplace_back(MessageJson(access.GetRepeatedMessage(message, field, i)));
    } else {
      array.emplace_back(access.GetRepeatedString(message, field, i));
    }
  }
  return array;
}

}  // namespace

json::Object MessageJson(const Message& message) {
  json::Object out;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_repeated()) {
      out[field->json_name()] = Repeated(message, field);
    } else if (!field->has_presence() || message.GetReflection()->HasField(message, field)) {
      out[field->json_name()] = Single(message, field);
    }
  }
  return out;
}

}  // namespace berth
