// SPDX-License-Identifier: Apache-2.0
// http and https URLs as the registry client needs them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::images::registry {

// A value. Components are normalised: scheme and host lower case, the port always explicit.
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // IPv6 in brackets
  std::string port;
  std::string path;   // "/" at least
  std::string query;  // without "?"

  // InvalidArgument for other schemes, user names in the URL and what is no URL. The message does
  // not repeat the text, which may hold a secret.
  static StatusOr<Url> Parse(std::string_view text);
  // RFC 3986 section 5: the target of a Location header.
  StatusOr<Url> Resolve(std::string_view location) const;

  std::string str() const;
  // Without the query, printable: for messages.
  std::string shown() const;
  // "host:port", without the port if it is the scheme's own.
  std::string authority() const;
  bool SameOrigin(const Url& other) const;
  // localhost, 127/8 or ::1.
  bool IsLoopback() const;
};

// At most `cap` bytes with "?" for what is no printable ASCII: for text from strangers.
std::string Printable(std::string_view text, size_t cap);

}  // namespace berth::images::registry
