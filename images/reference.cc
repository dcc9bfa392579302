// SPDX-License-Identifier: Apache-2.0
#include "images/reference.h"

#include <arpa/inet.h>

#include <algorithm>

namespace berth::images {
namespace {

constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
// name ":" tag "@" sha512 digest.
constexpr size_t kMaxReferenceBytes =
    Reference::kMaxNameBytes + 1 + Reference::kMaxTagBytes + 1 + 7 + 128;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsNumeral(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsNumeral(c) || (c >= 'a' && c <= 'f'); }
bool IsAlnum(char c) { return IsLower(c) || IsUpper(c) || IsNumeral(c); }

Status Invalid(std::string_view text, std::string_view cause) {
  std::string shown;
  for (char c : text.substr(0, 300)) shown.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return absl::InvalidArgumentError(
      absl::StrCat("image reference \"", shown, "\": ", std::string(cause)));
}

// Empty if `port` is 1 to 65535 in decimal.
std::string_view PortFault(std::string_view port) {
  if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), IsNumeral)) {
    return "the port is not a number from 1 to 65535";
  }
  unsigned value = 0;
  for (char c : port) value = value * 10 + static_cast<unsigned>(c - '0');
  return value == 0 || value > 65535 ? "the port is not a number from 1 to 65535" : "";
}

// Empty if `host` is a DNS name or an IPv4 address.
std::string_view HostFault(std::string_view host) {
  while (true) {
    size_t dot = host.find('.');
    std::string_view label = host.substr(0, dot);
    if (label.empty()) return "the domain has an empty label";
    if (label.size() > 63) return "the domain has a label of more than 63 characters";
    if (label.front() == '-' || label.back() == '-') {
      return "a label of the domain begins or ends with a hyphen";
    }
    for (char c : label) {
      if (!IsAlnum(c) && c != '-') return "the domain holds a character that no host name has";
    }
    if (dot == std::string_view::npos) return "";
    host.remove_prefix(dot + 1);
  }
}

std::string_view DomainFault(std::string_view domain) {
  if (domain.starts_with('[')) {
    size_t end = domain.find(']');
    if (end == std::string_view::npos) return "the IPv6 address lacks its closing bracket";
    std::string address(domain.substr(1, end - 1));
    in6_addr parsed;
    if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1 ||
        address.find('\0') != std::string::npos) {
      return "the brackets hold no IPv6 address";
    }
    std::string_view rest = domain.substr(end + 1);
    if (rest.empty()) return "";
    if (rest.front() != ':') return "only a port may follow the closing bracket";
    return PortFault(rest.substr(1));
  }
  size_t colon = domain.find(':');
  if (std::string_view fault = HostFault(domain.substr(0, colon)); !fault.empty()) return fault;
  return colon == std::string_view::npos ? "" : PortFault(domain.substr(colon + 1));
}

// One component: [a-z0-9]+ joined by ".", "_", "__" or any number of "-".
std::string_view ComponentFault(std::string_view component) {
  if (component.empty()) return "the repository name has an empty component";
  auto word = [](char c) { return IsLower(c) || IsNumeral(c); };
  size_t i = 0;
  while (i < component.size()) {
    size_t begin = i;
    while (i < component.size() && word(component[i])) ++i;
    if (i == begin) {
      return IsUpper(component[i]) ? "the repository name must be lower case"
                                   : "the repository name holds a character that is not allowed";
    }
    if (i == component.size()) return "";
    begin = i;
    if (IsUpper(component[i])) return "the repository name must be lower case";
    while (i < component.size() &&
           (component[i] == '.' || component[i] == '_' || component[i] == '-')) {
      ++i;
    }
    std::string_view separator = component.substr(begin, i - begin);
    bool hyphens = separator.find_first_not_of('-') == std::string_view::npos;
    if (separator.empty()) return "the repository name holds a character that is not allowed";
    if (!hyphens && separator != "." && separator != "_" && separator != "__") {
      return "the repository name holds a run of separators that is not allowed";
    }
    if (i == component.size()) return "a component of the repository name ends with a separator";
  }
  return "";
}

std::string_view PathFault(std::string_view path) {
  while (true) {
    size_t slash = path.find('/');
    if (std::string_view fault = ComponentFault(path.substr(0, slash)); !fault.empty()) {
      return fault;
    }
    if (slash == std::string_view::npos) return "";
    path.remove_prefix(slash + 1);
  }
}

std::string_view TagFault(std::string_view tag) {
  if (tag.empty()) return "the tag is empty";
  if (tag.size() > Reference::kMaxTagBytes) return "the tag has more than 128 characters";
  if (tag.front() == '.' || tag.front() == '-') return "the tag begins with a dot or a hyphen";
  for (char c : tag) {
    if (!IsAlnum(c) && c != '_' && c != '.' && c != '-') {
      return "the tag holds a character that is not allowed";
    }
  }
  return "";
}

// Whether the first component of a name is a registry rather than a namespace of Docker Hub.
bool LooksLikeDomain(std::string_view component) {
  return component == "localhost" || component.find_first_of(".:[") != std::string_view::npos;
}

bool IsImageId(std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  return text.size() == 64 && std::all_of(text.begin(), text.end(), IsHex);
}

}  // namespace

StatusOr<Reference> Reference::Parse(std::string_view text, ReferenceDefaults* defaults) {
  ReferenceDefaults added;
  if (text.empty()) return absl::InvalidArgumentError("image reference is empty");
  // Docker Hub's prefix may be left out, so the spelt text is never longer than the canonical one.
  if (text.size() > kMaxReferenceBytes) return Invalid(text, "too long");
  if (IsImageId(text)) return Invalid(text, "is an image ID, not a reference");

  Reference result;
  std::string_view rest = text;
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    auto digest = Digest::Parse(rest.substr(at + 1));
    if (!digest.ok()) return Invalid(text, std::string(digest.status().message()));
    result.digest_ = *std::move(digest);
    rest = rest.substr(0, at);
  }
  size_t slash = rest.find('/');
  if (slash != std::string_view::npos && LooksLikeDomain(rest.substr(0, slash))) {
    result.domain_ = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    if (auto fault = DomainFault(result.domain_); !fault.empty()) return Invalid(text, fault);
    if (result.domain_ == "index.docker.io") result.domain_ = kDefaultDomain;
  } else {
    result.domain_ = kDefaultDomain;
    added.registry = true;
  }
  if (size_t colon = rest.find(':'); colon != std::string_view::npos) {
    result.tag_ = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (auto fault = TagFault(result.tag_); !fault.empty()) return Invalid(text, fault);
  }
  if (rest.empty()) return Invalid(text, "the repository name is empty");
  result.path_ = rest;
  if (auto fault = PathFault(result.path_); !fault.empty()) return Invalid(text, fault);
  if (result.domain_ == kDefaultDomain && rest.find('/') == std::string_view::npos) {
    result.path_.insert(0, kOfficialPrefix);
    added.library = true;
  }
  if (result.domain_.size() + 1 + result.path_.size() > kMaxNameBytes) {
    return Invalid(text, "the name has more than 255 characters");
  }
  if (result.tag_.empty() && !result.digest_) {
    result.tag_ = "latest";
    added.tag = true;
  }
  if (defaults != nullptr) *defaults = added;
  return result;
}

std::string Reference::name() const { return absl::StrCat(domain_, "/", path_); }

std::string Reference::tagged() const {
  return tag_.empty() ? std::string() : absl::StrCat(domain_, "/", path_, ":", tag_);
}

std::string Reference::WithDigest(const Digest& digest) const {
  return absl::StrCat(domain_, "/", path_, "@", digest.str());
}

std::string Reference::str() const {
  std::string text = name();
  if (!tag_.empty()) absl::StrAppend(&text, ":", tag_);
  if (digest_) absl::StrAppend(&text, "@", digest_->str());
  return text;
}

}  // namespace berth::images
