// SPDX-License-Identifier: Apache-2.0
#include "runtime/fake.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <stop_token>

#include "base/file.h"
#include "base/id.h"
#include "base/sys.h"

namespace berth::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Recorder : public RuntimeListener {
 public:
  void OnContainerExit(const std::string& id, const ExitInfo& exit) override {
    absl::MutexLock lock(&mutex_);
    exits_.emplace_back(id, exit.exit_code);
  }
  std::vector<std::pair<std::string, int>> exits() {
    absl::MutexLock lock(&mutex_);
    return exits_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::pair<std::string, int>> exits_ ABSL_GUARDED_BY(mutex_);
};

class FakeRuntimeTest : public testing::Test {
 protected:
  FakeRuntimeTest() : fake_(&recorder_) {
    PodSetup pod;
    pod.pod_id = pod_ = NewId();
    EXPECT_TRUE(fake_.CreatePod(Context(), pod).ok());
  }
  std::string Create(uint32_t slot) {
    ContainerSetup setup;
    setup.pod_id = pod_;
    setup.container_id = NewId();
    setup.slot = slot;
    EXPECT_TRUE(fake_.CreateContainer(Context(), setup).ok());
    return setup.container_id;
  }

  Recorder recorder_;
  FakeRuntime fake_;
  std::string pod_;
};

TEST_F(FakeRuntimeTest, ContainerEndsWhenTheTestSaysSo) {
  std::string id = Create(0);
  EXPECT_FALSE(fake_.EndContainer(id, ExitInfo{.exit_code = 1}));
  ASSERT_TRUE(fake_.StartContainer(Context(), id).ok());
  EXPECT_TRUE(fake_.GetState(id)->running);
  EXPECT_EQ(fake_.StartContainer(Context(), id).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fake_.EndContainer(id, ExitInfo{.exit_code = 7, .known = true}));
  fake_.Flush();
  EXPECT_THAT(recorder_.exits(), ElementsAre(std::pair(id, 7)));
  EXPECT_EQ(fake_.GetState(id)->exit->exit_code, 7);
  EXPECT_TRUE(fake_.DeleteContainer(id).ok());
  EXPECT_TRUE(fake_.DeleteContainer(id).ok());
  EXPECT_THAT(fake_.ContainerIds(), IsEmpty());
}

TEST_F(FakeRuntimeTest, SignalsEndItUnlessIgnored) {
  std::string id = Create(0);
  ASSERT_TRUE(fake_.StartContainer(Context(), id).ok());
  fake_.IgnoreSignals(true);
  ASSERT_TRUE(fake_.Signal(id, SIGTERM).ok());
  EXPECT_TRUE(fake_.GetState(id)->running);
  ASSERT_TRUE(fake_.KillAll(id).ok());
  EXPECT_EQ(fake_.GetState(id)->exit->exit_code, 137);
  EXPECT_THAT(fake_.SignalsSent(id), ElementsAre(SIGTERM, SIGKILL));
  EXPECT_EQ(fake_.Signal(id, SIGTERM).code(), absl::StatusCode::kNotFound);
}

TEST_F(FakeRuntimeTest, FailsAsOftenAsAsked) {
  std::string id = Create(0);
  fake_.Fail("StartContainer", absl::InternalError("no"), 2);
  EXPECT_FALSE(fake_.StartContainer(Context(), id).ok());
  EXPECT_FALSE(fake_.StartContainer(Context(), id).ok());
  EXPECT_TRUE(fake_.StartContainer(Context(), id).ok());
  EXPECT_EQ(fake_.Calls("StartContainer"), 3);
}

TEST_F(FakeRuntimeTest, RestartForgetsUntilAddedAgain) {
  std::string id = Create(0);
  ContainerSetup setup = *fake_.FindContainer(id);
  ASSERT_TRUE(fake_.StartContainer(Context(), id).ok());
  fake_.RestartDaemon(&recorder_);
  EXPECT_EQ(fake_.GetState(id).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(fake_.AddContainer(setup, /*started=*/true).ok());
  EXPECT_TRUE(fake_.GetState(id)->running);

  setup.container_id = NewId();  // recorded as started, but nothing of it is left
  ASSERT_TRUE(fake_.AddContainer(setup, /*started=*/true).ok());
  EXPECT_FALSE(fake_.GetState(setup.container_id)->running);
  EXPECT_FALSE(fake_.GetState(setup.container_id)->exit->known);
}

TEST_F(FakeRuntimeTest, ExecAnswersWhatIsProgrammed) {
  std::string id = Create(0);
  ASSERT_TRUE(fake_.StartContainer(Context(), id).ok());
  fake_.SetExec({"say"}, {.stdout_data = "hello", .exit = {.exit_code = 3, .known = true}});
  fake_.SetExec({}, {.runs_until_killed = true});

  sys::Pipe out = *sys::MakePipe();
  ExecRequest request{.container_id = id, .args = {"say"}, .stdout_fd = std::move(out.write)};
  std::unique_ptr<Exec> exec = *fake_.StartExec(Context(), std::move(request));
  EXPECT_EQ(*ReadAll(out.read.get(), 100, "output"), "hello");
  EXPECT_EQ(exec->Wait(Context())->exit_code, 3);

  exec = *fake_.StartExec(Context(), ExecRequest{.container_id = id, .args = {"other"}});
  Context past = Context().WithDeadline(absl::Now());
  EXPECT_EQ(exec->Wait(past).status().code(), absl::StatusCode::kDeadlineExceeded);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(exec->Wait(Context(absl::InfiniteFuture(), stop.get_token())).status().code(),
            absl::StatusCode::kCancelled);
  ASSERT_TRUE(exec->Kill().ok());
  EXPECT_EQ(exec->Wait(Context())->exit_code, 137);
}

}  // namespace
}  // namespace berth::runtime
