// SPDX-License-Identifier: Apache-2.0
#include "sandbox/signals.h"

#include <csignal>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace berth::sandbox {
namespace {

struct Name {
  const char* name;
  int number;
};
// The first spelling of a number is the canonical one.
constexpr Name kNames[] = {
    {"ABRT", SIGABRT},     {"ALRM", SIGALRM}, {"BUS", SIGBUS},   {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},     {"FPE", SIGFPE},   {"HUP", SIGHUP},   {"ILL", SIGILL},
    {"INT", SIGINT},       {"IO", SIGIO},     {"KILL", SIGKILL}, {"PIPE", SIGPIPE},
    {"PROF", SIGPROF},     {"PWR", SIGPWR},   {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},
    {"STKFLT", SIGSTKFLT}, {"STOP", SIGSTOP}, {"SYS", SIGSYS},   {"TERM", SIGTERM},
    {"TRAP", SIGTRAP},     {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"URG", SIGURG},       {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM},
    {"WINCH", SIGWINCH},   {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"IOT", SIGIOT},
    {"CLD", SIGCHLD},      {"POLL", SIGPOLL},
};
// What the kernel counts from; glibc's SIGRTMIN leaves out the two it uses itself, and 34 is what
// every program means by RTMIN.
constexpr int kRtMin = 34;
constexpr int kRtMax = 64;

}  // namespace

StatusOr<int> SignalNumber(const std::string& name) {
  auto wrong = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("stop signal \"", name.substr(0, 64), "\": unknown signal"));
  };
  int number;
  if (absl::SimpleAtoi(name, &number)) {
    if (number < 1 || number > kRtMax) return wrong();
    return number;
  }
  std::string upper = absl::AsciiStrToUpper(name);
  absl::string_view rest = upper;
  absl::ConsumePrefix(&rest, "SIG");
  for (const Name& entry : kNames) {
    if (rest == entry.name) return entry.number;
  }
  int base = 0, sign = 1;
  if (absl::ConsumePrefix(&rest, "RTMIN")) {
    base = kRtMin;
    if (!rest.empty() && !absl::ConsumePrefix(&rest, "+") && !absl::ConsumePrefix(&rest, "PLUS")) {
      return wrong();
    }
  } else if (absl::ConsumePrefix(&rest, "RTMAX")) {
    base = kRtMax;
    sign = -1;
    if (!rest.empty() && !absl::ConsumePrefix(&rest, "-") && !absl::ConsumePrefix(&rest, "MINUS")) {
      return wrong();
    }
  } else {
    return wrong();
  }
  int offset = 0;
  bool bare = upper.ends_with("RTMIN") || upper.ends_with("RTMAX");
  if (!bare && !absl::SimpleAtoi(rest, &offset)) return wrong();
  number = base + sign * offset;
  if (offset < 0 || number < kRtMin || number > kRtMax) return wrong();
  return number;
}

std::string SignalName(int number) {
  for (const Name& entry : kNames) {
    if (entry.number == number) return absl::StrCat("SIG", entry.name);
  }
  if (number == kRtMin) return "SIGRTMIN";
  if (number == kRtMax) return "SIGRTMAX";
  if (number > kRtMin && number <= kRtMin + 15) return absl::StrCat("SIGRTMIN+", number - kRtMin);
  if (number > kRtMin + 15 && number < kRtMax) return absl::StrCat("SIGRTMAX-", kRtMax - number);
  return absl::StrCat(number);
}

}  // namespace berth::sandbox
