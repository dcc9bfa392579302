// SPDX-License-Identifier: Apache-2.0
#include "images/registry/challenge.h"

#include <optional>

#include "absl/strings/ascii.h"

namespace berth::images::registry {
namespace {

constexpr size_t kMaxHeaderBytes = 8192;
constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxParams = 32;

bool IsTokenChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
// RFC 9110 token68, without the trailing "=".
bool IsToken68Char(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         (c != '\0' && std::string_view("-._~+/").find(c) != std::string_view::npos);
}

Status Malformed(std::string_view cause) {
  return absl::InvalidArgumentError(absl::StrCat("WWW-Authenticate: ", std::string(cause)));
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  void Rewind(std::string_view rest) { rest_ = rest; }

  // The number of skipped characters.
  size_t SkipSpace() { return Skip(" \t"); }
  size_t SkipSeparators() { return Skip(" \t,"); }

  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string_view TakeToken() { return TakeWhile(IsTokenChar); }

  // A token68 only counts if nothing but the next challenge follows.
  bool TakeToken68() {
    std::string_view before = rest_;
    std::string_view token = TakeWhile(IsToken68Char);
    while (Take('=')) {
    }
    SkipSpace();
    if (!token.empty() && (done() || rest_.front() == ',')) return true;
    rest_ = before;
    return false;
  }

  // After the opening quote; nullopt if the string does not end.
  std::optional<std::string> TakeQuoted() {
    std::string value;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return value;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      value.push_back(c);
    }
    return std::nullopt;
  }

 private:
  size_t Skip(std::string_view set) {
    size_t end = std::min(rest_.find_first_not_of(set), rest_.size());
    rest_.remove_prefix(end);
    return end;
  }
  template <typename Predicate>
  std::string_view TakeWhile(Predicate predicate) {
    size_t end = 0;
    while (end < rest_.size() && predicate(rest_[end])) ++end;
    std::string_view taken = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return taken;
  }

  std::string_view rest_;
};

// The parameters of one challenge; stops before what begins the next one.
Status ParseParams(Scanner* scanner, Challenge* challenge) {
  while (true) {
    scanner->SkipSeparators();
    if (scanner->done()) return absl::OkStatus();
    std::string_view before = scanner->rest();
    std::string_view name = scanner->TakeToken();
    if (name.empty()) return Malformed("a parameter has no name");
    scanner->SkipSpace();
    if (!scanner->Take('=')) {
      scanner->Rewind(before);
      return absl::OkStatus();
    }
    scanner->SkipSpace();
    std::string value;
    if (scanner->Take('"')) {
      std::optional<std::string> quoted = scanner->TakeQuoted();
      if (!quoted) return Malformed("a quoted string does not end");
      value = *std::move(quoted);
    } else {
      value = scanner->TakeToken();
      if (value.empty()) return Malformed("a parameter has no value");
    }
    for (char c : value) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        return Malformed("a parameter holds a control character");
      }
    }
    scanner->SkipSpace();
    if (!scanner->done() && scanner->rest().front() != ',') {
      return Malformed("no comma after a parameter");
    }
    if (challenge->params.size() >= kMaxParams) return Malformed("too many parameters");
    challenge->params.emplace_back(absl::AsciiStrToLower(std::string(name)), std::move(value));
  }
}

}  // namespace

std::string_view Challenge::Param(std::string_view name) const {
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return {};
}

StatusOr<std::vector<Challenge>> ParseChallenges(std::string_view header) {
  if (header.size() > kMaxHeaderBytes) return Malformed("too long");
  std::vector<Challenge> challenges;
  Scanner scanner(header);
  scanner.SkipSeparators();
  while (!scanner.done()) {
    if (challenges.size() >= kMaxChallenges) return Malformed("too many challenges");
    std::string_view scheme = scanner.TakeToken();
    if (scheme.empty()) return Malformed("a challenge has no scheme");
    Challenge challenge{.scheme = absl::AsciiStrToLower(std::string(scheme)), .params = {}};
    size_t space = scanner.SkipSpace();
    bool bare = scanner.done() || scanner.rest().front() == ',';
    if (!bare && space == 0) return Malformed("no space after a scheme");
    if (!bare && !scanner.TakeToken68()) RETURN_IF_ERROR(ParseParams(&scanner, &challenge));
    challenges.push_back(std::move(challenge));
    scanner.SkipSeparators();
  }
  return challenges;
}

}  // namespace berth::images::registry
