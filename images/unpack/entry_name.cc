// SPDX-License-Identifier: Apache-2.0
#include "images/unpack/entry_name.h"

#include "absl/strings/str_cat.h"
#include "images/unpack/limits.h"

namespace berth::images::unpack {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kMetaPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

Status Bad(std::string_view raw, std::string_view why) {
  return absl::DataLossError(absl::StrCat("entry \"", Printable(raw), "\": ", std::string(why)));
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 200)) {
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  if (text.size() > 200) out += "...";
  return out;
}

StatusOr<std::string> CleanPath(std::string_view raw) {
  if (raw.empty()) return Bad(raw, "empty name");
  if (raw.size() > kMaxPathBytes) return Bad(raw, "path longer than 4096 bytes");
  if (raw.find('\0') != std::string_view::npos) return Bad(raw, "name holds a NUL byte");
  std::string out;
  while (!raw.empty()) {
    size_t slash = raw.find('/');
    std::string_view part = raw.substr(0, slash);
    raw = slash == std::string_view::npos ? std::string_view() : raw.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") return Bad(absl::StrCat(out, "/.."), "path climbs with \"..\"");
    if (part.size() > kMaxNameBytes) return Bad(part, "name longer than 255 bytes");
    if (!out.empty()) out.push_back('/');
    out.append(part);
  }
  return out;
}

StatusOr<EntryName> ParseEntryName(std::string_view raw) {
  ASSIGN_OR_RETURN(std::string path, CleanPath(raw));
  EntryName result;
  size_t slash = path.rfind('/');
  result.name = slash == std::string::npos ? path : path.substr(slash + 1);
  result.parent = slash == std::string::npos ? "" : path.substr(0, slash);

  for (std::string_view rest = result.parent; !rest.empty();) {
    size_t end = rest.find('/');
    std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (part == kOpaqueName) return Bad(raw, "below a whiteout");
    if (part.starts_with(kMetaPrefix)) {
      result.kind = NameKind::kIgnored;
      return result;
    }
    if (part.starts_with(kWhiteoutPrefix)) return Bad(raw, "below a whiteout");
  }
  if (result.name == kOpaqueName) {
    result.kind = NameKind::kOpaque;
    result.name.clear();
  } else if (result.name.starts_with(kMetaPrefix)) {
    result.kind = NameKind::kIgnored;
  } else if (result.name.starts_with(kWhiteoutPrefix)) {
    result.kind = NameKind::kWhiteout;
    result.name.erase(0, kWhiteoutPrefix.size());
    if (result.name.empty() || result.name == "." || result.name == "..") {
      return Bad(raw, "whiteout of no name");
    }
  }
  return result;
}

}  // namespace berth::images::unpack
