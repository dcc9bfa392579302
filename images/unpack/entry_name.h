// SPDX-License-Identifier: Apache-2.0
// Names of archive entries, cleaned and classified (OCI image-spec, layer.md "Whiteouts"). Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::images::unpack {

// Strips leading slashes, "." components and trailing slashes. Empty means the root. DataLoss for
// "..", an empty name, a NUL byte, a component over 255 bytes or a path over 4096.
StatusOr<std::string> CleanPath(std::string_view raw);

enum class NameKind {
  kPlain,
  kWhiteout,  // hides `name` of the layers below
  kOpaque,    // hides everything of the layers below in `parent`
  kIgnored,   // aufs bookkeeping (.wh..wh.plnk and the like)
};

struct EntryName {
  NameKind kind = NameKind::kPlain;
  std::string parent;  // clean path, empty for the root
  std::string name;    // one component; empty for the root itself and for kOpaque
};
// DataLoss for a whiteout of nothing, of "." or "..", and for anything below a whiteout.
StatusOr<EntryName> ParseEntryName(std::string_view raw);

// `text` for an error message: bounded, without control characters.
std::string Printable(std::string_view text);

}  // namespace berth::images::unpack
