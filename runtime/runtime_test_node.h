// SPDX-License-Identifier: Apache-2.0
// A node for tests of the runtime: state directory, a root file system made of the machine's own
// static busybox, a listener, and one Runtime that can be restarted as a daemon would be.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/synchronization/mutex.h"
#include "runtime/runtime.h"

namespace berth::runtime {

class TestNode : public RuntimeListener {
 public:
  // Why tests cannot run here, or empty.
  static std::string Obstacle();

  TestNode();
  // Ends everything that was started and removes all files.
  ~TestNode() override;

  Runtime& runtime() { return *runtime_; }
  // Drops the Runtime and starts another on the same state.
  void Restart();
  // The same after the death of the spawner.
  void RestartWithNewSpawner();

  const std::string& directory() const { return directory_; }
  const std::string& instance() const { return instance_; }
  std::string cgroup_parent() const { return "/" + instance_; }
  // Where the node's own control group is seen that limits memory.
  std::string CgroupPath() const;
  // Pure cgroup v2.
  static bool PureUnified();
  // The layer that all containers share.
  std::string base_layer() const { return directory_ + "/base"; }
  // A new directory below the node's.
  std::string MakeDir(const std::string& name);

  // Makes a pod (removed at the end).
  PodSetup NewPod();
  PodInfo CreatePod(const PodSetup& setup);
  // A container that runs `args`, with the mounts, limits and filter of an ordinary one.
  ContainerSetup NewContainer(const PodSetup& pod, std::vector<std::string> args);
  // Create and start; fails the test on errors.
  void Run(const ContainerSetup& setup);
  // Create, start, wait.
  ExitInfo RunToEnd(const ContainerSetup& setup);
  ExitInfo WaitForExit(const std::string& container_id);
  // What the container wrote, tags and time stamps removed.
  std::string Output(const ContainerSetup& setup);
  // Waits for `text` in the output; by inotify, at most 10 s.
  bool WaitForOutput(const ContainerSetup& setup, const std::string& text);
  // A container's main process as /proc/<pid>/... in the host.
  std::string ProcPath(const ContainerSetup& setup, const std::string& file);
  // Stops and deletes.
  void Delete(const ContainerSetup& setup);
  // Runs a command in it.
  struct ExecResult {
    ExitInfo exit;
    std::string output;  // stdout and stderr
  };
  ExecResult RunExec(const ContainerSetup& setup, std::vector<std::string> args);

  void OnContainerExit(const std::string& container_id, const ExitInfo& exit) override;

 private:
  void MakeBaseLayer();
  void StopSpawner();
  std::vector<pid_t> StageProcesses();

  std::string directory_;
  std::string instance_;
  std::unique_ptr<Runtime> runtime_;
  std::vector<std::string> pods_;
  std::vector<std::string> containers_;
  uint32_t next_slot_ = 0;
  absl::Mutex mutex_;
  std::map<std::string, ExitInfo> exits_ ABSL_GUARDED_BY(mutex_);
};

// What the tests of the Runtime stand on.
class NodeTest : public testing::Test {
 protected:
  // Skips, and says why, where no node can be made.
  void SetUp() override;
  // The output of a container that must succeed.
  std::string OutputOf(const ContainerSetup& setup);

  std::unique_ptr<TestNode> node_;
};

// The same with one pod that runs.
class PodNodeTest : public NodeTest {
 protected:
  void SetUp() override;
  ContainerSetup Shell(const std::string& script) {
    return node_->NewContainer(pod_, {"sh", "-c", script});
  }

  PodSetup pod_;
};

}  // namespace berth::runtime
