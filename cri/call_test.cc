// SPDX-License-Identifier: Apache-2.0
// What the way from gRPC to a body promises: cancellation, deadlines, quotas, recovery, shutdown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/gate.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;

// A start of a container that waits until its client goes away or the test lets it go. To be
// declared before the server, like all that bodies touch: a client may have its answer while the
// body is still about to return.
struct Blocker {
  absl::Notification entered;
  absl::Notification released;
  absl::Notification cancelled;

  auto Body() {
    return [this](const Context& context, const std::string&) -> Status {
      std::stop_callback callback(context.stop(), [this] {
        cancelled.Notify();
        if (!released.HasBeenNotified()) released.Notify();
      });
      entered.Notify();
      released.WaitForNotification();
      return context.Check();
    };
  }
};

grpc::Status Start(TestServer* server, grpc::ClientContext* context) {
  v1::StartContainerRequest request;
  request.set_container_id("c");
  v1::StartContainerResponse response;
  return server->Call("RuntimeService/StartContainer", request, &response, context);
}

void SetDeadline(grpc::ClientContext* context, std::chrono::milliseconds from_now) {
  context->set_deadline(std::chrono::system_clock::now() + from_now);
}

TEST(CallTest, CancellationReachesTheBody) {
  Blocker blocker;
  TestServer server;
  server.pods.start_container = blocker.Body();
  grpc::ClientContext context;
  grpc::Status status;
  std::thread caller([&] { status = Start(&server, &context); });
  blocker.entered.WaitForNotification();
  context.TryCancel();
  blocker.cancelled.WaitForNotification();
  caller.join();
  EXPECT_EQ(status.error_code(), StatusCode::CANCELLED);
}

TEST(CallTest, DeadlineReachesTheBody) {
  Blocker blocker;
  absl::Time deadline;
  TestServer server;
  server.pods.start_container = [&](const Context& context, const std::string& id) {
    deadline = context.deadline();
    return blocker.Body()(context, id);
  };
  grpc::ClientContext context;
  SetDeadline(&context, std::chrono::milliseconds(200));
  const absl::Time latest = absl::Now() + absl::Milliseconds(200);
  EXPECT_EQ(Start(&server, &context).error_code(), StatusCode::DEADLINE_EXCEEDED);
  blocker.cancelled.WaitForNotification();
  EXPECT_LE(deadline, latest + absl::Milliseconds(100));
}

TEST(CallTest, NoDeadlineIsForEver) {
  absl::Time deadline;
  TestServer server;
  server.pods.start_container = [&](const Context& context, const std::string&) {
    deadline = context.deadline();
    return absl::OkStatus();
  };
  grpc::ClientContext context;
  EXPECT_TRUE(Start(&server, &context).ok());
  EXPECT_EQ(deadline, absl::InfiniteFuture());
}

TEST(CallTest, QuotasAreSeparateAndBounded) {
  TestServer::Settings settings;
  settings.limits.work_threads = 1;
  settings.limits.max_queued = 1;
  Blocker blocker;
  std::atomic<int> runs = 0;
  TestServer server(settings);
  server.pods.start_container = [&](const Context& context, const std::string& id) -> Status {
    if (runs++ > 0) return absl::OkStatus();
    return blocker.Body()(context, id);
  };
  grpc::ClientContext first_context;
  grpc::Status first;
  std::thread first_caller([&] { first = Start(&server, &first_context); });
  blocker.entered.WaitForNotification();
  // Of two more, one finds a place in the queue and one does not.
  std::vector<grpc::Status> others(2);
  absl::Notification refused;
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&server, &others, &refused, i] {
      grpc::ClientContext context;
      others[static_cast<size_t>(i)] = Start(&server, &context);
      if (others[static_cast<size_t>(i)].error_code() == StatusCode::RESOURCE_EXHAUSTED) {
        refused.Notify();
      }
    });
  }
  refused.WaitForNotification();
  // Meanwhile readers and the other quotas go on.
  v1::StatusResponse status;
  EXPECT_TRUE(server.Call("RuntimeService/Status", v1::StatusRequest(), &status).ok());
  v1::StopContainerResponse stopped;
  EXPECT_TRUE(
      server.Call("RuntimeService/StopContainer", v1::StopContainerRequest(), &stopped).ok());
  v1::PullImageRequest pull;
  pull.mutable_image()->set_image("a");
  v1::PullImageResponse pulled;
  EXPECT_TRUE(server.Call("ImageService/PullImage", pull, &pulled).ok());
  blocker.released.Notify();
  first_caller.join();
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(first.ok());
  EXPECT_NE(others[0].ok(), others[1].ok());
  EXPECT_EQ(runs, 2);
}

// kubelet asks every five seconds and gives a node up after thirty.
TEST(CallTest, ReadersAnswerWhileEverythingHangs) {
  TestServer::Settings settings;
  settings.limits.work_threads = settings.limits.slow_threads = settings.limits.pull_threads = 1;
  Blocker start, stop, pull;
  TestServer server(settings);
  server.pods.start_container = start.Body();
  server.pods.stop_container = [&](const Context& context, const std::string& id, int64_t) {
    return stop.Body()(context, id);
  };
  server.images.pull = [&](const Context& context, auto&&) -> StatusOr<std::string> {
    RETURN_IF_ERROR(pull.Body()(context, ""));
    return "sha256:pulled";
  };
  std::thread callers[] = {std::thread([&] {
                             grpc::ClientContext context;
                             (void)Start(&server, &context);
                           }),
                           std::thread([&] {
                             v1::StopContainerResponse response;
                             (void)server.Call("RuntimeService/StopContainer",
                                               v1::StopContainerRequest(), &response);
                           }),
                           std::thread([&] {
                             v1::PullImageRequest request;
                             request.mutable_image()->set_image("a");
                             v1::PullImageResponse response;
                             (void)server.Call("ImageService/PullImage", request, &response);
                           })};
  for (Blocker* blocker : {&start, &stop, &pull}) blocker->entered.WaitForNotification();
  for (const char* method :
       {"RuntimeService/Version", "RuntimeService/Status", "RuntimeService/RuntimeConfig",
        "RuntimeService/ListPodSandbox", "RuntimeService/ListContainers",
        "RuntimeService/ListMetricDescriptors", "ImageService/ListImages"}) {
    // An empty message is a request of every type and can read every answer.
    v1::StopPodSandboxResponse ignored;
    EXPECT_TRUE(server.Call(method, v1::StatusRequest(), &ignored).ok()) << method;
  }
  for (Blocker* blocker : {&start, &stop, &pull}) {
    EXPECT_FALSE(blocker->cancelled.HasBeenNotified());
    blocker->released.Notify();
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(CallTest, AQueuedCallWhoseClientLeftIsNotRun) {
  TestServer::Settings settings;
  settings.limits.work_threads = 1;
  Blocker blocker;
  std::atomic<int> runs = 0;
  TestServer server(settings);
  server.pods.start_container = [&](const Context& context, const std::string& id) -> Status {
    ++runs;
    return blocker.Body()(context, id);
  };
  grpc::ClientContext first_context;
  grpc::Status first;
  std::thread first_caller([&] { first = Start(&server, &first_context); });
  blocker.entered.WaitForNotification();
  grpc::ClientContext second_context;
  SetDeadline(&second_context, std::chrono::milliseconds(50));
  EXPECT_EQ(Start(&server, &second_context).error_code(), StatusCode::DEADLINE_EXCEEDED);
  // The server counts from the arrival of the request and rounds up: let its deadline pass too.
  absl::SleepFor(absl::Milliseconds(200));
  blocker.released.Notify();
  first_caller.join();
  // The queue is in order: once this one is through, the second was looked at.
  v1::RemoveContainerResponse removed;
  EXPECT_TRUE(
      server.Call("RuntimeService/RemoveContainer", v1::RemoveContainerRequest(), &removed).ok());
  EXPECT_EQ(runs, 1);
}

TEST(CallTest, DuringRecoveryOnlyVersionsAnswer) {
  TestServer::Settings settings;
  settings.ready = false;
  std::atomic<int> runs = 0;
  TestServer server(settings);
  server.pods.start_container = [&](auto&&...) {
    ++runs;
    return absl::OkStatus();
  };
  v1::VersionResponse version;
  EXPECT_TRUE(server.Call("RuntimeService/Version", v1::VersionRequest(), &version).ok());

  grpc::ClientContext impatient;
  SetDeadline(&impatient, std::chrono::milliseconds(50));
  EXPECT_EQ(Start(&server, &impatient).error_code(), StatusCode::DEADLINE_EXCEEDED);
  grpc::ClientContext reader;
  SetDeadline(&reader, std::chrono::milliseconds(50));
  v1::StatusResponse status;
  EXPECT_EQ(
      server.Call("RuntimeService/Status", v1::StatusRequest(), &status, &reader).error_code(),
      StatusCode::DEADLINE_EXCEEDED);

  grpc::ClientContext patient;
  grpc::Status done;
  std::thread caller([&] { done = Start(&server, &patient); });
  server.server()->SetReady();
  caller.join();
  EXPECT_TRUE(done.ok());
  EXPECT_EQ(runs, 1) << "the impatient one was dropped";
}

TEST(CallTest, ShutdownCancelsWhatIsLeftAndWaitsForIt) {
  Blocker blocker;
  TestServer server;
  server.pods.start_container = blocker.Body();
  grpc::ClientContext context;
  grpc::Status status;
  std::thread caller([&] { status = Start(&server, &context); });
  blocker.entered.WaitForNotification();
  server.server()->Shutdown(absl::Milliseconds(20));
  EXPECT_TRUE(blocker.cancelled.HasBeenNotified());
  caller.join();
  EXPECT_FALSE(status.ok());
  server.server()->Shutdown(absl::ZeroDuration());
}

TEST(CallTest, ShutdownDuringRecoveryEnds) {
  TestServer::Settings settings;
  settings.ready = false;
  TestServer server(settings);
  grpc::ClientContext context;
  grpc::Status status;
  std::thread caller([&] { status = Start(&server, &context); });
  v1::VersionResponse version;
  EXPECT_TRUE(server.Call("RuntimeService/Version", v1::VersionRequest(), &version).ok());
  server.server()->Shutdown(absl::Milliseconds(20));
  caller.join();
  // Which of the two depends on who tells the client first, the answer or the reset stream.
  EXPECT_THAT(status.error_code(), testing::AnyOf(StatusCode::UNAVAILABLE, StatusCode::CANCELLED));
}

TEST(GateTest, LetsInOnceOpenAndForgetsWhoLeft) {
  Gate gate;
  std::vector<int> in;
  const uint64_t first = gate.Enter([&] { in.push_back(1); });
  const uint64_t second = gate.Enter([&] { in.push_back(2); });
  EXPECT_TRUE(gate.Leave(first));
  EXPECT_FALSE(gate.Leave(first));
  gate.Open();
  EXPECT_FALSE(gate.Leave(second));
  EXPECT_EQ(gate.Enter([&] { in.push_back(3); }), 0u);
  EXPECT_THAT(in, testing::ElementsAre(2, 3));
}

}  // namespace
}  // namespace berth::cri
