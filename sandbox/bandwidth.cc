// SPDX-License-Identifier: Apache-2.0
#include "sandbox/bandwidth.h"

#include <limits>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace berth::sandbox {
namespace {

constexpr char kIngress[] = "kubernetes.io/ingress-bandwidth";
constexpr char kEgress[] = "kubernetes.io/egress-bandwidth";
constexpr uint64_t kLeast = 1'000;
constexpr uint64_t kMost = 1'000'000'000'000'000;

// More digits than this say nothing about a number of 64 bits, and fewer cannot overflow here.
constexpr int kMostDigits = 18;
constexpr int kMostExponent = 18;

struct Suffix {
  std::string_view text;
  int tens = 0;  // 10 to this
  int twos = 0;  // and 2 to this
};
constexpr Suffix kSuffixes[] = {
    {"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"k", 3, 0},   {"M", 6, 0},
    {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool FindSuffix(std::string_view text, Suffix* out) {
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.text == text) {
      *out = suffix;
      return true;
    }
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return false;
  int exponent;
  if (!absl::SimpleAtoi(absl::string_view(text.data() + 1, text.size() - 1), &exponent) ||
      exponent < -kMostExponent || exponent > kMostExponent) {
    return false;
  }
  *out = {text, exponent, 0};
  return true;
}

Status NoQuantity(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::string_view(text.data(), text.size()), "\" is no quantity"));
}

StatusOr<uint64_t> Limit(const std::map<std::string, std::string>& annotations, const char* key) {
  const auto it = annotations.find(key);
  if (it == annotations.end()) return 0;
  const std::string name = absl::StrCat("config.annotations[\"", key, "\"]");
  StatusOr<uint64_t> value = ParseQuantity(it->second);
  if (!value.ok()) return Annotate(value.status(), name);
  if (*value < kLeast || *value > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", it->second, " is not from 1k to 1P bits per second"));
  }
  return value;
}

}  // namespace

StatusOr<uint64_t> ParseQuantity(std::string_view text) {
  size_t at = text.starts_with('+') ? 1 : 0;
  absl::uint128 number = 0;
  int digits = 0;
  int tens = 0;
  bool fraction = false;
  for (; at < text.size() && (IsDigit(text[at]) || (text[at] == '.' && !fraction)); ++at) {
    if (text[at] == '.') {
      fraction = true;
      continue;
    }
    if (++digits > kMostDigits) return NoQuantity(text);
    number = number * 10 + static_cast<unsigned>(text[at] - '0');
    if (fraction) --tens;
  }
  Suffix suffix;
  if (digits == 0 || !FindSuffix(text.substr(at), &suffix)) return NoQuantity(text);
  number <<= suffix.twos;
  // 10^18 * 2^60 fits; what would not is too large anyway.
  for (tens += suffix.tens; tens > 0; --tens) {
    if (number > std::numeric_limits<uint64_t>::max()) return NoQuantity(text);
    number *= 10;
  }
  bool rest = false;
  for (; tens < 0; ++tens) {
    rest = rest || number % 10 != 0;
    number /= 10;
  }
  if (rest) number += 1;
  if (number > std::numeric_limits<int64_t>::max()) return NoQuantity(text);
  return static_cast<uint64_t>(number);
}

StatusOr<network::Bandwidth> BandwidthOf(const std::map<std::string, std::string>& annotations) {
  network::Bandwidth bandwidth;
  ASSIGN_OR_RETURN(bandwidth.ingress, Limit(annotations, kIngress));
  ASSIGN_OR_RETURN(bandwidth.egress, Limit(annotations, kEgress));
  return bandwidth;
}

}  // namespace berth::sandbox
