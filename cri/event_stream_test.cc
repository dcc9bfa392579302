// SPDX-License-Identifier: Apache-2.0
// Events over a real socket: complete, in order, and no burden when a client is slow or gone.
#include "cri/event_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "cri/api/runtime/v1/api.pb.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;
using testing::ElementsAre;

using Reader = std::unique_ptr<grpc::ClientReader<v1::ContainerEventResponse>>;

class EventStreamTest : public testing::Test {
 protected:
  EventStreamTest() : EventStreamTest(TestServer::Settings()) {}
  explicit EventStreamTest(const TestServer::Settings& settings) : server_(settings) {}

  Reader Open(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return server_.Open<v1::ContainerEventResponse>("RuntimeService/GetContainerEvents",
                                                    v1::GetEventsRequest(), context);
  }
  // Returns when the subscription holds.
  Reader Listen(grpc::ClientContext* context) {
    Reader reader = Open(context);
    reader->WaitForInitialMetadata();
    return reader;
  }
  void Publish(sandbox::EventType type, const std::string& id, size_t annotation_size = 0) {
    sandbox::Event event{type, id, 42, {}, std::vector<sandbox::ContainerStatus>(1)};
    event.pod.id = "pod";
    event.pod.config.metadata = sandbox::PodMetadata{"web", "uid", "default", 1};
    event.pod.config.annotations["a"] = std::string(annotation_size, 'x');
    event.containers[0].id = "container";
    event.containers[0].state = sandbox::ContainerState::kExited;
    event.containers[0].exit_code = 3;
    server_.pods.events.Publish(event);
  }
  void AwaitNoSubscription() {
    while (server_.pods.events.HasSubscribers()) std::this_thread::yield();
  }

  TestServer server_;
};

TEST_F(EventStreamTest, EverySubscriberGetsEveryEventInOrder) {
  grpc::ClientContext contexts[3];
  std::vector<Reader> readers;
  for (auto& context : contexts) readers.push_back(Listen(&context));
  constexpr int kCount = 300;
  for (int i = 0; i < kCount; ++i) Publish(sandbox::EventType::kStopped, absl::StrCat("c", i));
  for (const Reader& reader : readers) {
    v1::ContainerEventResponse event;
    for (int i = 0; i < kCount; ++i) {
      ASSERT_TRUE(reader->Read(&event));
      ASSERT_EQ(event.container_id(), absl::StrCat("c", i));
    }
    EXPECT_EQ(event.container_event_type(), v1::CONTAINER_STOPPED_EVENT);
    EXPECT_EQ(event.created_at(), 42);
    EXPECT_EQ(event.pod_sandbox_status().id(), "pod");
    EXPECT_EQ(event.pod_sandbox_status().metadata().uid(), "uid");
    ASSERT_EQ(event.containers_statuses_size(), 1);
    EXPECT_EQ(event.containers_statuses(0).exit_code(), 3);
    EXPECT_EQ(event.containers_statuses(0).state(), v1::CONTAINER_EXITED);
  }
}

TEST_F(EventStreamTest, TypesAreThoseOfTheApi) {
  grpc::ClientContext context;
  const Reader reader = Listen(&context);
  std::vector<int> types;
  for (auto type : {sandbox::EventType::kCreated, sandbox::EventType::kStarted,
                    sandbox::EventType::kStopped, sandbox::EventType::kDeleted}) {
    Publish(type, "c");
    v1::ContainerEventResponse event;
    ASSERT_TRUE(reader->Read(&event));
    types.push_back(event.container_event_type());
  }
  EXPECT_THAT(types, ElementsAre(v1::CONTAINER_CREATED_EVENT, v1::CONTAINER_STARTED_EVENT,
                                 v1::CONTAINER_STOPPED_EVENT, v1::CONTAINER_DELETED_EVENT));
}

TEST_F(EventStreamTest, WhoLeavesIsForgottenAtOnce) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const Reader reader = Listen(&context);
    EXPECT_TRUE(server_.pods.events.HasSubscribers());
    if (i % 2 == 1) Publish(sandbox::EventType::kCreated, "c");  // leaves during a write, or after
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), StatusCode::CANCELLED);
    AwaitNoSubscription();
  }
}

TEST_F(EventStreamTest, WhoDoesNotReadIsToldAndHoldsNobodyUp) {
  grpc::ClientContext slow_context, quick_context;
  const Reader slow = Listen(&slow_context);
  const Reader quick = Listen(&quick_context);
  // More than sockets and gRPC's windows swallow.
  constexpr size_t kCount = sandbox::FakeEvents::kMaxQueued * 2;
  v1::ContainerEventResponse event;
  for (size_t i = 0; i < kCount; ++i) {
    Publish(sandbox::EventType::kCreated, "c", 16 << 10);
    ASSERT_TRUE(quick->Read(&event));
  }
  size_t read = 0;
  while (slow->Read(&event)) ++read;
  EXPECT_LT(read, kCount);
  EXPECT_EQ(slow->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  v1::StatusResponse status;
  EXPECT_TRUE(server_.Call("RuntimeService/Status", v1::StatusRequest(), &status).ok());
}

TEST_F(EventStreamTest, TooManySubscriptionsAreRefused) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<Reader> readers;
  for (size_t i = 0; i < sandbox::FakeEvents::kMaxSubscriptions; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(Listen(contexts.back().get()));
  }
  grpc::ClientContext one_more;
  EXPECT_EQ(Open(&one_more)->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  for (auto& context : contexts) context->TryCancel();
  for (auto& reader : readers) EXPECT_EQ(reader->Finish().error_code(), StatusCode::CANCELLED);
  AwaitNoSubscription();
}

TEST_F(EventStreamTest, StoppingTheServerEndsStreamsBeforeItsGrace) {
  grpc::ClientContext context;
  const Reader reader = Listen(&context);
  const absl::Time begin = absl::Now();
  server_.server()->Shutdown(absl::Seconds(20));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  v1::ContainerEventResponse event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::UNAVAILABLE);
}

class EarlyEventStreamTest : public EventStreamTest {
 protected:
  EarlyEventStreamTest()
      : EventStreamTest([] {
          TestServer::Settings settings;
          settings.ready = false;
          return settings;
        }()) {}
};

TEST_F(EarlyEventStreamTest, RecoveryIsWaitedFor) {
  grpc::ClientContext impatient;
  Reader gone = Open(&impatient);
  impatient.TryCancel();
  EXPECT_EQ(gone->Finish().error_code(), StatusCode::CANCELLED);
  grpc::ClientContext context;
  const Reader reader = Open(&context);
  server_.server()->SetReady();
  reader->WaitForInitialMetadata();
  Publish(sandbox::EventType::kStarted, "c");
  v1::ContainerEventResponse event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.container_id(), "c");
}

}  // namespace
}  // namespace berth::cri
