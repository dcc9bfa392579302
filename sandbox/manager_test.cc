// SPDX-License-Identifier: Apache-2.0
// The manager on fakes: what it answers, what it leaves, what it finds again after a crash.
#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <thread>
#include <tuple>

#include "sandbox/manager_fixture.h"

namespace berth::sandbox {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ManagerTest, ImageVolumesAreHeldUntilTheContainerIsRemoved) {
  images_.Add("docker.io/library/data:1", dir_ + "/data");
  const std::string data_id = (*images_.Find("docker.io/library/data:1"))->id;
  ContainerConfig config = Container();
  Mount mount;
  mount.container_path = "/data";
  mount.readonly = true;
  mount.image = ImageRef{};
  mount.image->image = "docker.io/library/missing:1";
  config.mounts = {mount};
  std::string pod = MustRun();
  EXPECT_THAT(manager_->CreateContainer(Context(), pod, config),
              StatusIs(absl::StatusCode::kNotFound, testing::StartsWith("ImageVolumeMountFailed")));
  EXPECT_THAT(images_.Roots(), IsEmpty());

  config.mounts[0].image->image = "docker.io/library/data:1";
  std::string id = MustStart(pod, config);
  EXPECT_EQ(images_.VolumesOf(id), 1u);
  EXPECT_EQ(StatusOf(id).config.mounts[0].image->image, "docker.io/library/data:1");
  EXPECT_EQ(StatusOf(id).config.mounts[0].image->image_ref, "docker.io/library/data@" + data_id);
  EXPECT_EQ(runtime_->FindContainer(id)->images.at(data_id).lower[0], dir_ + "/data");
  Restart();
  EXPECT_EQ(runtime_->FindContainer(id)->images.at(data_id).lower[0], dir_ + "/data");
  EXPECT_OK(manager_->RemoveContainer(Context(), id));
  EXPECT_EQ(images_.VolumesOf(id), 0u);
}

TEST_F(ManagerTest, LifeOfAPod) {
  std::string pod = MustRun();
  ASSERT_OK_AND_ASSIGN(PodStatus status, manager_->GetPod(pod.substr(0, 10)));
  EXPECT_EQ(status.state, PodState::kReady);
  EXPECT_THAT(status.ips, SizeIs(1));
  std::string id = MustStart(pod);
  EXPECT_EQ(StatusOf(id).state, ContainerState::kRunning);
  EXPECT_EQ(StatusOf(id).image_id, images_.List()[0]->id);
  EXPECT_OK(manager_->StopContainer(Context(), id, 10));
  EXPECT_THAT(runtime_->SignalsSent(id), testing::ElementsAre(SIGTERM));
  EXPECT_EQ(StatusOf(id).state, ContainerState::kExited);
  EXPECT_OK(manager_->StopPod(Context(), pod));
  EXPECT_OK(manager_->StopPod(Context(), pod));
  EXPECT_EQ(manager_->GetPod(pod)->state, PodState::kNotReady);
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  ExpectNothingLeft();
}

TEST_F(ManagerTest, PodResourcesAreKeptAcrossARestart) {
  const std::string pod = MustRun();
  Resources sums, overhead;
  sums.cpu_quota = 50'000;
  sums.memory_limit_in_bytes = 64 << 20;
  overhead.cpu_shares = 10;
  EXPECT_OK(manager_->UpdatePodResources(Context(), pod, overhead, sums));
  sums.cpu_quota = 70'000;
  EXPECT_OK(manager_->UpdatePodResources(Context(), pod, std::nullopt, sums));
  for (int i = 0; i < 2; ++i, Restart()) {
    const auto status = manager_->GetPod(pod);
    ASSERT_OK(status);
    EXPECT_EQ(status->config.resources.value().cpu_quota, 70'000);
    EXPECT_EQ(status->config.resources.value().memory_limit_in_bytes, 64 << 20);
    EXPECT_EQ(status->config.overhead.value().cpu_shares, 10);
  }
  EXPECT_THAT(manager_->UpdatePodResources(Context(), "none", overhead, sums),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(manager_->UpdatePodResources(Context(), "", overhead, sums),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("empty")));
}

TEST_F(ManagerTest, PodRangesAreTheNetworks) {
  EXPECT_OK(manager_->SetPodRanges(Context(), {"10.1.0.0/24"}));
  EXPECT_THAT(network_.Ranges(), testing::ElementsAre("10.1.0.0/24"));
}

TEST_F(ManagerTest, AnEmptyIdMatchesNothing) {
  std::string pod = MustRun();
  std::string id = MustStart(pod);
  EXPECT_OK(manager_->StopPod(Context(), ""));
  EXPECT_OK(manager_->StopContainer(Context(), "", 0));
  EXPECT_OK(manager_->RemoveContainer(Context(), ""));
  EXPECT_OK(manager_->RemovePod(Context(), ""));
  EXPECT_TRUE(absl::IsNotFound(manager_->GetPod("").status()));
  EXPECT_TRUE(absl::IsNotFound(manager_->GetContainer("").status()));
  EXPECT_TRUE(absl::IsNotFound(manager_->CreateContainer(Context(), "", Container()).status()));
  EXPECT_EQ(StatusOf(id).state, ContainerState::kRunning);
  EXPECT_EQ(manager_->GetPod(pod)->state, PodState::kReady);
}

TEST_F(ManagerTest, TheSameRequestAgainReturnsTheSame) {
  std::string pod = MustRun();
  EXPECT_EQ(MustRun(), pod);
  auto first = manager_->CreateContainer(Context(), pod, Container());
  auto second = manager_->CreateContainer(Context(), pod, Container());
  ASSERT_OK(first);
  EXPECT_EQ(*first, *second);
  EXPECT_OK(manager_->StartContainer(Context(), *first));
  EXPECT_TRUE(
      absl::IsAlreadyExists(manager_->CreateContainer(Context(), pod, Container()).status()));
  EXPECT_OK(manager_->StopPod(Context(), pod));
  EXPECT_THAT(manager_->RunPod(Context(), Pod(), ""),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(pod)));
}

TEST_F(ManagerTest, AFailureAtAnyStepOfAPodLeavesNothing) {
  for (const char* step : {"pod-record", "pod-files", "pod-namespaces", "pod-ready"}) {
    manager_->SetFailpointForTest([&](std::string_view name) {
      return name == step ? absl::UnavailableError("injected") : absl::OkStatus();
    });
    EXPECT_TRUE(absl::IsUnavailable(manager_->RunPod(Context(), Pod(), "").status())) << step;
    ExpectNothingLeft();
  }
  runtime_->Fail("CreatePod", absl::ResourceExhaustedError("no namespaces"));
  manager_->SetFailpointForTest({});
  EXPECT_THAT(manager_->RunPod(Context(), Pod(), ""),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no namespaces")));
  ExpectNothingLeft();
  EXPECT_OK(manager_->RunPod(Context(), Pod(), ""));
}

TEST_F(ManagerTest, AFailureAtAnyStepOfAContainerLeavesNothing) {
  std::string pod = MustRun();
  for (const char* step : {"container-record", "container-rootfs", "container-spec",
                           "container-runtime", "container-created"}) {
    manager_->SetFailpointForTest([&](std::string_view name) {
      return name == step ? absl::UnavailableError("injected") : absl::OkStatus();
    });
    EXPECT_TRUE(
        absl::IsUnavailable(manager_->CreateContainer(Context(), pod, Container()).status()))
        << step;
    EXPECT_THAT(manager_->ListContainers({}), IsEmpty()) << step;
    EXPECT_THAT(runtime_->ContainerIds(), IsEmpty()) << step;
    EXPECT_THAT(images_.Roots(), IsEmpty()) << step;
  }
}

TEST_F(ManagerTest, WhatCannotBeUndoneStaysAsANotReadyPod) {
  runtime_->Fail("CreatePod", absl::InternalError("half made"));
  runtime_->Fail("DestroyPod", absl::InternalError("stuck"));
  EXPECT_FALSE(manager_->RunPod(Context(), Pod(), "").ok());
  auto pods = manager_->ListPods({});
  ASSERT_THAT(pods, SizeIs(1));
  EXPECT_EQ(pods[0]->Show().state, PodState::kNotReady);
  EXPECT_OK(manager_->RemovePod(Context(), pods[0]->Show().id));
  ExpectNothingLeft();
}

TEST_F(ManagerTest, AFailedStartIsAnExitWithStartError) {
  std::string pod = MustRun();
  ASSERT_OK_AND_ASSIGN(std::string id, manager_->CreateContainer(Context(), pod, Container()));
  runtime_->Fail("StartContainer", absl::NotFoundError("exec /app: No such file or directory"));
  EXPECT_TRUE(absl::IsNotFound(manager_->StartContainer(Context(), id)));
  ContainerStatus status = StatusOf(id);
  EXPECT_EQ(status.state, ContainerState::kExited);
  EXPECT_EQ(status.exit_code, 128);
  EXPECT_EQ(status.reason, "StartError");
  EXPECT_THAT(status.message, HasSubstr("/app"));
  EXPECT_GT(status.finished_at_ns, 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->StartContainer(Context(), id)));
  EXPECT_OK(manager_->RemoveContainer(Context(), id));
}

TEST_F(ManagerTest, ExitsGetTheirReason) {
  std::string pod = MustRun();
  struct Case {
    runtime::ExitInfo exit;
    const char* reason;
  } cases[] = {{{.exit_code = 0, .known = true}, "Completed"},
               {{.exit_code = 3, .known = true}, "Error"},
               {{.exit_code = 137, .signal = 9, .oom_killed = true, .known = true}, "OOMKilled"},
               {{.exit_code = 255, .known = false}, "Unknown"}};
  for (const Case& c : cases) {
    std::string id = MustStart(pod, Container(c.reason));
    ASSERT_TRUE(runtime_->EndContainer(id, c.exit));
    AwaitExit(id);
    EXPECT_EQ(StatusOf(id).reason, c.reason);
    EXPECT_EQ(StatusOf(id).exit_code, c.exit.exit_code);
  }
}

TEST_F(ManagerTest, ALaterStopShortensTheGracePeriod) {
  std::string id = MustStart(MustRun());
  runtime_->IgnoreSignals(true);
  std::thread patient([&] { EXPECT_OK(manager_->StopContainer(Context(), id, 3600)); });
  while (runtime_->SignalsSent(id).empty()) std::this_thread::yield();
  EXPECT_OK(manager_->StopContainer(Context(), id, 0));
  patient.join();
  EXPECT_EQ(StatusOf(id).state, ContainerState::kExited);
}

TEST_F(ManagerTest, ACancelledStopReturnsAndKillsNothing) {
  std::string id = MustStart(MustRun());
  runtime_->IgnoreSignals(true);
  Context brief(absl::Now() + absl::Milliseconds(20), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(manager_->StopContainer(brief, id, 3600)));
  EXPECT_EQ(StatusOf(id).state, ContainerState::kRunning);
}

TEST_F(ManagerTest, BadRequestsNameTheField) {
  auto refused = [&](auto change, const char* field) {
    PodConfig config = Pod("bad");
    change(config);
    EXPECT_THAT(manager_->RunPod(Context(), config, ""), StatusIs(testing::_, HasSubstr(field)));
  };
  refused([](PodConfig& c) { c.metadata.reset(); }, "config.metadata");
  refused([](PodConfig& c) { c.metadata->name = ""; }, "metadata.name");
  refused([](PodConfig& c) { c.hostname = "a b"; }, "hostname");
  refused([](PodConfig& c) { c.hostname = std::string(65, 'a'); }, "hostname");
  refused([](PodConfig& c) { c.log_directory = "relative"; }, "log_directory");
  refused([](PodConfig& c) { c.security.run_as_group = 5; }, "run_as_group");
  refused([](PodConfig& c) { c.security.namespaces.network = NamespaceMode::kTarget; }, "network");
  refused([](PodConfig& c) { c.security.namespaces.pid = NamespaceMode::kTarget; },
          "namespace_options.pid: TARGET");
  refused(
      [](PodConfig& c) {
        c.dns = DnsConfig{{"192.0.2.1", "x\ny"}, {}, {}};
      },
      "config.dns_config.servers[1]");
  refused(
      [](PodConfig& c) {
        c.port_mappings = {{PortProtocol::kTcp, 80, 70000, ""}};
      },
      "port_mappings[0]");
  EXPECT_THAT(manager_->RunPod(Context(), Pod(), "kata"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("kata")));
  ExpectNothingLeft();

  std::string pod = MustRun();
  auto refused_container = [&](auto change, const char* what) {
    ContainerConfig config = Container("bad");
    change(config);
    EXPECT_THAT(manager_->CreateContainer(Context(), pod, config),
                StatusIs(testing::_, HasSubstr(what)));
  };
  refused_container([](ContainerConfig& c) { c.metadata.reset(); }, "config.metadata");
  refused_container([](ContainerConfig& c) { c.image->image = "docker.io/library/none:1"; },
                    "not a local image");
  refused_container([](ContainerConfig& c) { c.log_path = "../../etc/passwd"; }, "log_path");
  refused_container([](ContainerConfig& c) { c.security.run_as_username = "nobody-here"; },
                    "config.linux.security_context: user \"nobody-here\"");
  refused_container([](ContainerConfig& c) { c.security.run_as_group = 1; }, "run_as_group");
  refused_container([](ContainerConfig& c) { c.security.privileged = true; }, "privileged");
  refused_container([](ContainerConfig& c) { c.security.capabilities.add = {"FLY"}; }, "FLY");
  refused_container([](ContainerConfig& c) { c.stop_signal = "SIGNOPE"; }, "SIGNOPE");
  refused_container([](ContainerConfig& c) { c.envs = {{"A=B", ""}}; }, "envs[0]");
  EXPECT_THAT(manager_->ListContainers({}), IsEmpty());
}

TEST_F(ManagerTest, RestartFindsWhatRunsAndWhatEndedMeanwhile) {
  std::string pod = MustRun();
  std::string runs = MustStart(pod, Container("runs"));
  std::string ends = MustStart(pod, Container("ends"));
  ASSERT_OK_AND_ASSIGN(std::string created,
                       manager_->CreateContainer(Context(), pod, Container("created")));
  runtime_->RestartDaemon(nullptr);
  ASSERT_TRUE(runtime_->EndContainer(ends, {.exit_code = 42, .known = true}));
  Restart();
  EXPECT_EQ(manager_->GetPod(pod)->state, PodState::kReady);
  EXPECT_EQ(StatusOf(runs).state, ContainerState::kRunning);
  EXPECT_EQ(StatusOf(ends).state, ContainerState::kExited);
  EXPECT_EQ(StatusOf(ends).exit_code, 42);
  EXPECT_OK(manager_->StartContainer(Context(), created));
  EXPECT_EQ(network_.Attached(), std::vector<std::string>{pod});
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  ExpectNothingLeft();
}

TEST_F(ManagerTest, RestartUndoesHalfMadeAndFinishesHalfRemoved) {
  std::string pod = MustRun();
  std::string leaving = MustStart(pod, Container("leaving"));
  // The daemon dies between two steps: nothing is undone then.
  auto die = [](std::string_view at) {
    return [at](std::string_view name) {
      if (name == at) throw std::runtime_error("killed");
      return absl::OkStatus();
    };
  };
  manager_->SetFailpointForTest(die("container-runtime"));
  EXPECT_THROW((void)manager_->CreateContainer(Context(), pod, Container("half")),
               std::runtime_error);
  manager_->SetFailpointForTest(die("pod-ready"));
  EXPECT_THROW((void)manager_->RunPod(Context(), Pod("half"), ""), std::runtime_error);
  runtime_->Fail("DeleteContainer", absl::InternalError("busy"));
  EXPECT_FALSE(manager_->RemoveContainer(Context(), leaving).ok());
  Restart();
  EXPECT_THAT(manager_->ListPods({}), SizeIs(1));
  EXPECT_THAT(manager_->ListContainers({}), IsEmpty());
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  ExpectNothingLeft();
}

TEST_F(ManagerTest, AfterARebootNothingRuns) {
  const std::string pod = MustRun();
  const std::string ran = MustStart(pod, Container("ran"));
  const std::string ended = MustStart(pod, Container("ended"));
  ASSERT_TRUE(runtime_->EndContainer(ended, {.exit_code = 3, .known = true}));
  AwaitExit(ended);
  ASSERT_OK_AND_ASSIGN(const std::string created,
                       manager_->CreateContainer(Context(), pod, Container("created")));
  Reboot();
  EXPECT_EQ(manager_->GetPod(pod)->state, PodState::kNotReady);
  for (const auto& [id, code, reason] :
       {std::tuple(ran, 255, "Unknown"), std::tuple(ended, 3, "Error"),
        std::tuple(created, 128, "StartError")}) {
    EXPECT_EQ(StatusOf(id).state, ContainerState::kExited) << reason;
    EXPECT_EQ(StatusOf(id).exit_code, code);
    EXPECT_EQ(StatusOf(id).reason, reason);
    EXPECT_GT(StatusOf(id).finished_at_ns, 0);
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->StartContainer(Context(), created)));
  EXPECT_OK(manager_->StopPod(Context(), pod));
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  ExpectNothingLeft();
}

TEST_F(ManagerTest, WhatRecoveryCannotFindEndsWhenItIsStopped) {
  const std::string pod = MustRun();
  const std::string stopped = MustStart(pod, Container("stopped"));
  const std::string removed = MustStart(pod, Container("removed"));
  runtime_->Fail("AddContainer", absl::InternalError("no answer"), 2);
  Restart();
  EXPECT_EQ(StatusOf(stopped).state, ContainerState::kUnknown);
  EXPECT_THAT(StatusOf(stopped).message, HasSubstr("no answer"));
  EXPECT_OK(manager_->StopContainer(Context(), stopped, 10));
  EXPECT_EQ(StatusOf(stopped).state, ContainerState::kExited);
  EXPECT_EQ(StatusOf(stopped).exit_code, 255);
  EXPECT_EQ(StatusOf(stopped).reason, "Unknown");
  EXPECT_GT(StatusOf(stopped).finished_at_ns, 0);
  EXPECT_THAT(runtime_->ContainerIds(), testing::ElementsAre(removed)) << "it may have run";
  EXPECT_OK(manager_->RemoveContainer(Context(), removed));
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  ExpectNothingLeft();
}

TEST_F(ManagerTest, LimitsMayChangeBeforeTheStart) {
  ContainerConfig config = Container();
  config.resources.cpu_shares = 512;
  config.resources.oom_score_adj = 7;
  ASSERT_OK_AND_ASSIGN(std::string id, manager_->CreateContainer(Context(), MustRun(), config));
  Resources change;
  change.cpu_quota = 54'321;
  change.oom_score_adj = 100;
  EXPECT_OK(manager_->UpdateResources(Context(), id, change));
  EXPECT_EQ(runtime_->LastUpdate(id)->cpu->quota, 54'321);
  Restart();
  EXPECT_EQ(StatusOf(id).resources.cpu_quota, 54'321);
  EXPECT_EQ(StatusOf(id).resources.cpu_shares, 512);
  EXPECT_EQ(StatusOf(id).resources.oom_score_adj, 7) << "its process will have this one";
  ASSERT_OK_AND_ASSIGN(const runtime::spec::Spec spec,
                       runtime::spec::Parse(StatusOf(id).spec_json));
  EXPECT_EQ(spec.linux.resources->cpu->quota, 54'321);
  EXPECT_EQ(spec.linux.resources->cpu->shares, 512u);
  EXPECT_FALSE(spec.linux.resources->devices.empty());
  EXPECT_OK(manager_->StartContainer(Context(), id));
  change = Resources();
  change.memory_limit_in_bytes = 64 << 20;
  EXPECT_OK(manager_->UpdateResources(Context(), id, change));
  EXPECT_FALSE(runtime_->LastUpdate(id)->cpu.has_value());
  EXPECT_EQ(StatusOf(id).resources.cpu_quota, 54'321);
  // On failure all of it stays.
  runtime_->Fail("UpdateResources", absl::FailedPreconditionError("in use"));
  change.memory_limit_in_bytes = 32 << 20;
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->UpdateResources(Context(), id, change)));
  EXPECT_EQ(StatusOf(id).resources.memory_limit_in_bytes, 64 << 20);
}

TEST_F(ManagerTest, ExecSyncReturnsOutputAndExitCode) {
  std::string id = MustStart(MustRun());
  runtime_->SetExec(
      {"ok"},
      {.stdout_data = "out", .stderr_data = "err", .exit = {.exit_code = 5, .known = true}});
  ASSERT_OK_AND_ASSIGN(ExecSyncResult result, manager_->ExecSync(Context(), id, {"ok"}, 0));
  EXPECT_EQ(result.stdout_data, "out");
  EXPECT_EQ(result.stderr_data, "err");
  EXPECT_EQ(result.exit_code, 5);
  runtime_->SetExec({"hang"}, {.runs_until_killed = true});
  EXPECT_THAT(manager_->ExecSync(Context(), id, {"hang"}, 1),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(HasSubstr("hang"), HasSubstr("timed out after 1 s"))));
  EXPECT_THAT(manager_->ExecSync(Context(), id, {}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cmd")));
}

TEST_F(ManagerTest, FiltersAreAnded) {
  std::string a = MustRun(Pod("a"));
  std::string b = MustRun(Pod("b"));
  MustStart(a, Container("one"));
  std::string two = MustStart(b, Container("two"));
  EXPECT_THAT(manager_->ListPods({.labels = {{"app", "a"}}}), SizeIs(1));
  EXPECT_THAT(manager_->ListPods({.id = a, .labels = {{"app", "b"}}}), IsEmpty());
  EXPECT_THAT(manager_->ListContainers({.pod_id = b}), SizeIs(1));
  EXPECT_THAT(manager_->ListContainers({.id = two.substr(0, 8), .pod_id = b}), SizeIs(1));
  EXPECT_THAT(manager_->ListContainers({.pod_id = "ffff"}), IsEmpty());
  EXPECT_THAT(manager_->ListContainers({.state = ContainerState::kExited}), IsEmpty());
}

TEST_F(ManagerTest, ManyPodsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        std::string pod = MustRun(Pod(absl::StrCat("p", t, "-", i)));
        MustStart(pod);
        EXPECT_OK(manager_->StopPod(Context(), pod));
        EXPECT_OK(manager_->RemovePod(Context(), pod));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ExpectNothingLeft();
}

}  // namespace
}  // namespace berth::sandbox
