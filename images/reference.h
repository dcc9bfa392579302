// SPDX-License-Identifier: Apache-2.0
// Image references in every spelling Docker understands, and their one canonical spelling.
//
//   reference := [domain "/"] path [":" tag] ["@" digest]
//
// "busybox" is docker.io/library/busybox:latest; the first component is a domain if it holds a dot
// or a colon, is "localhost" or is bracketed IPv6. Without tag and digest the tag is "latest".
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"

namespace berth::images {

// What Parse has added to a text.
struct ReferenceDefaults {
  bool registry = false;  // "docker.io"
  bool library = false;   // "library/"
  bool tag = false;       // "latest"
};

// Immutable value, always canonical.
class Reference {
 public:
  static constexpr size_t kMaxNameBytes = 255;  // domain and path together
  static constexpr size_t kMaxTagBytes = 128;

  // InvalidArgument that says what is wrong with which part. An image ID ("sha256:..." or 64
  // hexadecimal digits) is not a reference. `defaults`, if given, tells what was added.
  static StatusOr<Reference> Parse(std::string_view text, ReferenceDefaults* defaults = nullptr);

  // "docker.io", "localhost:5000", "[::1]:5000".
  const std::string& domain() const { return domain_; }
  // "library/busybox".
  const std::string& path() const { return path_; }
  // Empty if there is only a digest.
  const std::string& tag() const { return tag_; }
  const std::optional<Digest>& digest() const { return digest_; }

  // "docker.io/library/busybox".
  std::string name() const;
  // "docker.io/library/busybox:latest"; empty without a tag.
  std::string tagged() const;
  // "docker.io/library/busybox@sha256:...".
  std::string WithDigest(const Digest& digest) const;
  // name[:tag][@digest]. Parse(str()) gives an equal value.
  std::string str() const;

  auto operator<=>(const Reference&) const = default;

 private:
  Reference() = default;

  std::string domain_;
  std::string path_;
  std::string tag_;
  std::optional<Digest> digest_;
};

}  // namespace berth::images
