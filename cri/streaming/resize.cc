// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/resize.h"

#include <limits>

#include "base/json.h"

namespace berth::cri::streaming {
namespace {

StatusOr<uint16_t> Side(const json::Reader& reader, std::string_view name) {
  ASSIGN_OR_RETURN(const int64_t value, reader.Int(name));
  if (value < 0 || value > std::numeric_limits<uint16_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("resize.", std::string(name), ": ", value, " is out of range"));
  }
  return static_cast<uint16_t>(value);
}

StatusOr<TerminalSize> Parse(std::string_view text) {
  ASSIGN_OR_RETURN(const json::Value value, json::Parse(text, ResizeReader::kMaxObject, "resize"));
  ASSIGN_OR_RETURN(const json::Reader reader, json::Reader::Create(value, "resize"));
  TerminalSize size;
  ASSIGN_OR_RETURN(size.width, Side(reader, "Width"));
  ASSIGN_OR_RETURN(size.height, Side(reader, "Height"));
  return size;
}

}  // namespace

StatusOr<std::optional<TerminalSize>> ResizeReader::Feed(std::string_view bytes) {
  std::optional<TerminalSize> last;
  for (const char byte : bytes) {
    if (held_.empty() && (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t')) continue;
    if (held_.size() >= kMaxObject || (held_.empty() && byte != '{')) {
      return absl::InvalidArgumentError("resize: not an object");
    }
    held_.push_back(byte);
    // The objects are flat: the first closing brace ends one.
    if (byte != '}') continue;
    ASSIGN_OR_RETURN(last, Parse(held_));
    held_.clear();
  }
  return last;
}

}  // namespace berth::cri::streaming
