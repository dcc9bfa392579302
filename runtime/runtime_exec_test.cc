// SPDX-License-Identifier: Apache-2.0
// Execs in a running container.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/sys.h"
#include "runtime/runtime_test_node.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;
using ::testing::HasSubstr;

class ExecTest : public PodNodeTest {
 protected:
  void SetUp() override {
    PodNodeTest::SetUp();
    if (IsSkipped()) return;
    setup_ = node_->NewContainer(pod_, {"sh", "-c", "exec sleep 1000"});
    setup_.spec.process->env.emplace_back("FROM=container");
    setup_.spec.process->user.uid = 1000;
    setup_.spec.process->user.additional_gids = {7};
    setup_.spec.process->cwd = "/home/user";
    node_->Run(setup_);
  }
  StatusOr<std::unique_ptr<Exec>> Start(std::vector<std::string> args) {
    ExecRequest request;
    request.container_id = setup_.container_id;
    request.args = std::move(args);
    return node_->runtime().StartExec(Context(), std::move(request));
  }
  ContainerSetup setup_;
};

TEST_F(ExecTest, HasTheContainersSurroundings) {
  auto result = node_->RunExec(
      setup_, {"sh", "-c", "echo $FROM; pwd; id -u; id -G; hostname; cat /proc/self/status"});
  EXPECT_THAT(result.output, HasSubstr("container\n/home/user\n1000\n0 7\ntest-pod\n"));
  EXPECT_THAT(result.output, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(result.output, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(result.output, HasSubstr("Seccomp:\t2"));
  EXPECT_EQ(result.exit.exit_code, 0);
  // In the PID namespace of the container: its first process is number 1.
  result = node_->RunExec(setup_, {"sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline"});
  EXPECT_EQ(result.output, "sleep 1000 ");
}

TEST_F(ExecTest, ReportsExitCodes) {
  EXPECT_EQ(node_->RunExec(setup_, {"sh", "-c", "exit 42"}).exit.exit_code, 42);
  const ExitInfo exit = node_->RunExec(setup_, {"sh", "-c", "kill -9 $$"}).exit;
  EXPECT_EQ(exit.exit_code, 137);
  EXPECT_EQ(exit.signal, SIGKILL);
}

TEST_F(ExecTest, TellsMissingFromForbidden) {
  EXPECT_THAT(Start({"no-such-command"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no-such-command")));
  EXPECT_THAT(Start({"/etc/passwd"}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("/etc/passwd")));
  EXPECT_THAT(Start({}), StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(ExecTest, NeedsARunningContainer) {
  ASSERT_OK(node_->runtime().KillAll(setup_.container_id));
  node_->WaitForExit(setup_.container_id);
  EXPECT_THAT(Start({"true"}), StatusIs(absl::StatusCode::kFailedPrecondition, _));
}

TEST_F(ExecTest, KillEndsAllOfIt) {
  // A tree that has left the session and ignores signals.
  ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<Exec> exec,
      Start({"sh", "-c", "trap '' TERM; (sleep 777 & sleep 777) & sleep 777 & sleep 777"}));
  Context soon = Context().WithDeadline(absl::Now() + absl::Milliseconds(200));
  EXPECT_THAT(exec->Wait(soon), StatusIs(absl::StatusCode::kDeadlineExceeded, _));
  ASSERT_OK(exec->Kill());
  EXPECT_EQ(exec->Wait(Context())->signal, SIGKILL);
  EXPECT_EQ(node_->RunExec(setup_, {"sh", "-c", "ps | grep -c '[s]leep 777'"}).output, "0\n");
  EXPECT_TRUE(node_->runtime().GetState(setup_.container_id)->running);
}

TEST_F(ExecTest, WaitIsCancelled) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Exec> exec, Start({"sleep", "100"}));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(exec->Wait(Context(absl::InfiniteFuture(), stop.get_token())),
              StatusIs(absl::StatusCode::kCancelled, _));
  ASSERT_OK(exec->Kill());
}

TEST_F(ExecTest, ManyDoNotWearSlotsOut) {
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(node_->RunExec(setup_, {"true"}).exit.exit_code, 0) << i;
  }
}

TEST_F(ExecTest, TooManyAtOnceAreRefused) {
  std::vector<std::unique_ptr<Exec>> execs;
  Status refused;
  for (uint32_t i = 0; i <= kMaxContainersPerPod; ++i) {
    auto exec = Start({"sleep", "100"});
    if (!exec.ok()) {
      refused = exec.status();
      break;
    }
    execs.push_back(*std::move(exec));
  }
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted, _));
  for (auto& exec : execs) EXPECT_OK(exec->Kill());
  EXPECT_EQ(node_->RunExec(setup_, {"true"}).exit.exit_code, 0);
}

TEST_F(ExecTest, StdinReachesIt) {
  sys::Pipe in = *sys::MakePipe();
  sys::Pipe out = *sys::MakePipe();
  ExecRequest request;
  request.container_id = setup_.container_id;
  request.args = {"cat"};
  request.stdin_fd = std::move(in.read);
  request.stdout_fd = std::move(out.write);
  ASSERT_OK_AND_ASSIGN(auto exec, node_->runtime().StartExec(Context(), std::move(request)));
  ASSERT_OK(WriteAll(in.write.get(), "typed"));
  in.write.reset();
  EXPECT_EQ(*ReadAll(out.read.get(), 100, "output"), "typed");
  EXPECT_EQ(exec->Wait(Context())->exit_code, 0);
}

}  // namespace
}  // namespace berth::runtime
