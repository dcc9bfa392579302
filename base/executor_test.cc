// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <atomic>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "test/support/status_matchers.h"

namespace berth {
namespace {

TEST(Executor, RunsInParallelUpToItsThreads) {
  std::atomic<int> done{0};
  {
    Executor executor({.name = "test", .threads = 3, .max_queued = 10});
    // Three tasks that wait for each other prove three threads.
    auto* barrier = new absl::Barrier(3);
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK(executor.Post([barrier, &done] {
        if (barrier->Block()) delete barrier;
        ++done;
      }));
    }
  }
  EXPECT_EQ(done, 3);
}

TEST(Executor, RefusesBeyondItsQueue) {
  absl::Notification release, started;
  Executor executor({.name = "test", .threads = 1, .max_queued = 2});
  ASSERT_OK(executor.Post([&] {
    started.Notify();
    release.WaitForNotification();
  }));
  started.WaitForNotification();
  ASSERT_OK(executor.Post([] {}));
  ASSERT_OK(executor.Post([] {}));
  EXPECT_THAT(executor.Post([] {}),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::HasSubstr("2 requests")));
  release.Notify();
}

}  // namespace
}  // namespace berth
