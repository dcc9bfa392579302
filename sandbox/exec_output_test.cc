// SPDX-License-Identifier: Apache-2.0
#include "sandbox/exec_output.h"

#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "base/sys.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(ExecOutput, KeepsTheLimitAndDrainsTheRest) {
  ASSERT_OK_AND_ASSIGN(sys::Pipe out, sys::MakePipe());
  ASSERT_OK_AND_ASSIGN(sys::Pipe err, sys::MakePipe());
  std::thread writer([o = std::move(out.write), e = std::move(err.write)]() mutable {
    ASSERT_OK(WriteAll(o.get(), std::string(300000, 'o')));
    o.reset();
    ASSERT_OK(WriteAll(e.get(), "late"));
  });
  auto got = CollectOutput(Context(), std::move(out.read), std::move(err.read), UniqueFd(), 200000,
                           absl::Seconds(20));
  writer.join();
  ASSERT_OK(got);
  EXPECT_EQ(got->stdout_data.size(), 200000u);
  EXPECT_EQ(got->stderr_data, "");
  EXPECT_EQ(got->discarded, 100004u);
}

TEST(ExecOutput, GivesUpPipesThatDescendantsHold) {
  ASSERT_OK_AND_ASSIGN(sys::Pipe out, sys::MakePipe());
  ASSERT_OK(WriteAll(out.write.get(), "seen"));
  // The write end stays open, as a daemonised grandchild would keep it.
  auto got = CollectOutput(Context(), std::move(out.read), UniqueFd(), UniqueFd(), 1000,
                           absl::Milliseconds(20));
  ASSERT_OK(got);
  EXPECT_EQ(got->stdout_data, "seen");
}

TEST(ExecOutput, HonoursDeadlineAndCancellation) {
  ASSERT_OK_AND_ASSIGN(sys::Pipe out, sys::MakePipe());
  ASSERT_OK_AND_ASSIGN(UniqueFd self, sys::PidfdOpen(getpid()));
  ASSERT_OK_AND_ASSIGN(UniqueFd copy, sys::Dup(out.read.get()));
  EXPECT_THAT(CollectOutput(Context(absl::Now() + absl::Milliseconds(20), {}), std::move(copy),
                            UniqueFd(), self, 1000, absl::Seconds(1)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  std::stop_source stop;
  std::thread canceller([&] { stop.request_stop(); });
  EXPECT_THAT(CollectOutput(Context(absl::InfiniteFuture(), stop.get_token()), std::move(out.read),
                            UniqueFd(), self, 1000, absl::Seconds(1)),
              StatusIs(absl::StatusCode::kCancelled, testing::_));
  canceller.join();
}

}  // namespace
}  // namespace berth::sandbox
