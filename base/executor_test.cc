// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <atomic>
#include <filesystem>
#include <iterator>

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

size_t CountThreads() {
  std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(Executor, IdleThreadsEndButForAFew) {
  const size_t before = CountThreads();
  Executor executor(
      {.name = "test", .threads = 20, .max_queued = 100, .idle_limit = absl::Milliseconds(10)});
  auto* barrier = new absl::Barrier(20);
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(executor.Post([barrier] {
      if (barrier->Block()) delete barrier;
    }));
  }
  const absl::Time limit = absl::Now() + absl::Seconds(10);
  while (CountThreads() > before + 2 && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_LE(CountThreads(), before + 2);
  // They are replaced when there is work, and those that ended are not waited for twice.
  absl::Notification ran;
  ASSERT_OK(executor.Post([&ran] { ran.Notify(); }));
  EXPECT_TRUE(ran.WaitForNotificationWithTimeout(absl::Seconds(10)));
}

}  // namespace
}  // namespace berth
