// SPDX-License-Identifier: Apache-2.0
#include "images/registry/proxy.h"

#include <arpa/inet.h>

#include <array>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace berth::images::registry {
namespace {

struct Variable {
  std::string name;
  std::string value;
};

// The first that is set to something.
Variable FirstSet(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && value[0] != '\0') return {name, value};
  }
  return {};
}

// 4 or 16 bytes, in the order of the network; empty for what is no address.
std::string AddressOf(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const std::string name(text);
  std::array<char, 16> raw;
  if (inet_pton(AF_INET, name.c_str(), raw.data()) == 1) return std::string(raw.data(), 4);
  if (inet_pton(AF_INET6, name.c_str(), raw.data()) == 1) return std::string(raw.data(), 16);
  return "";
}

bool InRange(const std::string& address, std::string_view entry) {
  const size_t slash = entry.find('/');
  const std::string base = AddressOf(entry.substr(0, slash));
  if (base.size() != address.size()) return false;
  unsigned bits = static_cast<unsigned>(base.size()) * 8;
  if (slash != std::string_view::npos) {
    unsigned given = 0;
    if (!absl::SimpleAtoi(std::string(entry.substr(slash + 1)), &given) || given > bits)
      return false;
    bits = given;
  }
  for (unsigned bit = 0; bit < bits; ++bit) {
    const int mask = 0x80 >> (bit % 8);
    if ((address[bit / 8] & mask) != (base[bit / 8] & mask)) return false;
  }
  return true;
}

bool InDomain(std::string_view host, std::string_view entry) {
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.ends_with('.')) entry.remove_suffix(1);
  if (host.ends_with('.')) host.remove_suffix(1);
  const std::string domain = absl::AsciiStrToLower(std::string(entry));
  if (domain.empty() || !host.ends_with(domain)) return false;
  return host.size() == domain.size() || host[host.size() - domain.size() - 1] == '.';
}

// The entry of `list` that `host` falls under.
std::optional<std::string> FindException(const std::string& host, const std::string& list) {
  const std::string address = AddressOf(host);
  const std::vector<std::string> entries =
      absl::StrSplit(list, absl::ByAnyChar(", "), absl::SkipEmpty());
  for (const std::string& entry : entries) {
    if (entry == "*" || (address.empty() ? InDomain(host, entry) : InRange(address, entry))) {
      return entry;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string Proxy::shown() const {
  std::string text = url;
  const size_t scheme = text.find("://");
  const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  // A password may hold any character, a slash too if it is written carelessly.
  const size_t at = text.rfind('@');
  if (at != std::string::npos && at >= begin) text.erase(begin, at + 1 - begin);
  return Printable(text, 300);
}

Proxy ChooseProxy(const Url& url) {
  // libcurl itself would not take HTTP_PROXY, which a client of a CGI program can set; berthd is no
  // such program, and units set the upper-case form.
  const Variable proxy = url.scheme == "http"
                             ? FirstSet({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"})
                             : FirstSet({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  Proxy chosen;
  chosen.variable = proxy.name;
  if (proxy.value.empty()) return chosen;
  if (url.IsLoopback()) {
    chosen.exception = "loopback";
    return chosen;
  }
  const Variable exceptions = FirstSet({"no_proxy", "NO_PROXY"});
  if (auto entry = FindException(url.host, exceptions.value)) {
    chosen.exception = absl::StrCat(exceptions.name, " ", Printable(*entry, 100));
    return chosen;
  }
  chosen.url = proxy.value;
  return chosen;
}

}  // namespace berth::images::registry
