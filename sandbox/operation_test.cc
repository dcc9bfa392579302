// SPDX-License-Identifier: Apache-2.0
#include "sandbox/operation.h"

#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(RunSteps, UndoesInReverseFromTheFailedStep) {
  std::vector<std::string> trace;
  auto step = [&](std::string_view name, const Status& result) {
    std::string text(name);
    return Step{name,
                [&trace, text, result] {
                  trace.push_back("+" + text);
                  return result;
                },
                [&trace, text] {
                  trace.push_back("-" + text);
                  return absl::OkStatus();
                }};
  };
  Step steps[] = {step("a", {}), step("b", {}), step("c", absl::AbortedError("no")), step("d", {})};
  StepsResult result = RunSteps(steps, {});
  EXPECT_TRUE(absl::IsAborted(result.status));
  EXPECT_TRUE(result.clean);
  EXPECT_EQ(trace, (std::vector<std::string>{"+a", "+b", "+c", "-c", "-b", "-a"}));
}

TEST(RunSteps, FailpointsFailAnyStepAndUndoErrorsAreReported) {
  Step steps[] = {
      {"a", [] { return absl::OkStatus(); }, [] { return absl::InternalError("stuck"); }},
      {"b", [] { return absl::OkStatus(); }, {}}};
  StepsResult result = RunSteps(steps, [](std::string_view name) {
    return name == "b" ? absl::UnavailableError("injected") : absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsUnavailable(result.status));
  EXPECT_FALSE(result.clean);
  EXPECT_THAT(std::string(result.leftover.message()), testing::HasSubstr("undo a: stuck"));
}

TEST(OperationTable, JoinsTheRunningOperation) {
  OperationTable table;
  absl::Notification started, release;
  int runs = 0;
  StatusOr<std::string> first, second;
  std::thread runner([&] {
    first = table.RunOrJoin(Context(), "k", [&]() -> StatusOr<std::string> {
      ++runs;
      started.Notify();
      release.WaitForNotification();
      return "result";
    });
  });
  started.WaitForNotification();
  // A joiner whose deadline passes leaves; the operation goes on.
  Context brief(absl::Now() + absl::Milliseconds(10), {});
  EXPECT_THAT(table.RunOrJoin(brief, "k", [] { return StatusOr<std::string>("other"); }),
              StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  std::stop_source stop;
  absl::Notification joining;
  std::thread joiner([&] {
    joining.Notify();
    second = table.RunOrJoin(Context(absl::InfiniteFuture(), stop.get_token()), "k",
                             [] { return StatusOr<std::string>("other"); });
  });
  joining.WaitForNotification();
  stop.request_stop();
  joiner.join();
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kCancelled, testing::_));
  release.Notify();
  runner.join();
  EXPECT_EQ(*first, "result");
  EXPECT_EQ(runs, 1);
  // Afterwards the key is free again.
  EXPECT_EQ(*table.RunOrJoin(Context(), "k", [] { return StatusOr<std::string>("again"); }),
            "again");
}

}  // namespace
}  // namespace berth::sandbox
