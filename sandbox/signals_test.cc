// SPDX-License-Identifier: Apache-2.0
#include "sandbox/signals.h"

#include <csignal>

#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(Signals, KnowsEverySpelling) {
  for (auto [text, number] :
       {std::pair("SIGTERM", SIGTERM), std::pair("term", SIGTERM), std::pair("9", SIGKILL),
        std::pair("SIGRTMIN", 34), std::pair("RTMIN+3", 37), std::pair("SIGRTMINPLUS3", 37),
        std::pair("SIGRTMAX-1", 63), std::pair("SIGRTMAXMINUS14", 50), std::pair("SIGCLD", SIGCHLD),
        std::pair("SIGIOT", SIGABRT), std::pair("64", 64)}) {
    EXPECT_EQ(*SignalNumber(text), number) << text;
  }
}

TEST(Signals, RefusesWhatIsNone) {
  for (const char* text : {"", "0", "65", "-1", "SIG", "SIGFOO", "SIGRTMIN+31", "SIGRTMAX-31",
                           "SIGRTMIN+", "RTMIN3", "SIGTERM ", "15x"}) {
    EXPECT_THAT(SignalNumber(text), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << text;
  }
}

TEST(Signals, NamesRoundTrip) {
  for (int number = 1; number <= 64; ++number) {
    if (number == 32 || number == 33) continue;  // used by libc, no name
    EXPECT_EQ(*SignalNumber(SignalName(number)), number) << SignalName(number);
  }
}

}  // namespace
}  // namespace berth::sandbox
