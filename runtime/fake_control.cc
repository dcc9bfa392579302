// SPDX-License-Identifier: Apache-2.0
// What tests do with a FakeRuntime and see of it.
#include <utility>

#include "runtime/fake.h"

namespace berth::runtime {

// --- what the test does

bool FakeRuntime::EndContainer(const std::string& container_id, ExitInfo exit) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  return it != containers_.end() && EndLocked(container_id, it->second, exit);
}

void FakeRuntime::Fail(const std::string& method, Status error, int times) {
  absl::MutexLock lock(&mutex_);
  if (error.ok()) {
    failures_.erase(method);
  } else {
    failures_[method] = Failure{std::move(error), times};
  }
}

void FakeRuntime::OnCall(std::function<void(const std::string&, const std::string&)> hook) {
  absl::MutexLock lock(&mutex_);
  hook_ = std::move(hook);
}

void FakeRuntime::IgnoreSignals(bool ignore) {
  absl::MutexLock lock(&mutex_);
  ignore_signals_ = ignore;
}

void FakeRuntime::SetExec(std::vector<std::string> args, FakeExecResult result) {
  absl::MutexLock lock(&mutex_);
  execs_[std::move(args)] = std::move(result);
}

void FakeRuntime::SetRootfsDirectory(std::string path) {
  absl::MutexLock lock(&mutex_);
  rootfs_directory_ = std::move(path);
}

void FakeRuntime::RestartDaemon(RuntimeListener* listener) {
  absl::MutexLock lock(&mutex_);
  listener_ = listener;
  events_.clear();
  for (auto& [id, container] : containers_) container.known = false;
}

void FakeRuntime::Flush() {
  absl::MutexLock lock(&mutex_);
  auto idle = [this]()
                  ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return events_.empty() && !delivering_; };
  mutex_.Await(absl::Condition(&idle));
}

// --- what the test sees

std::vector<std::string> FakeRuntime::PodIds() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, pod] : pods_) ids.push_back(id);
  return ids;
}

std::vector<std::string> FakeRuntime::ContainerIds() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, container] : containers_) ids.push_back(id);
  return ids;
}

std::optional<PodSetup> FakeRuntime::FindPod(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(pod_id);
  if (it == pods_.end()) return std::nullopt;
  return it->second;
}

std::optional<ContainerSetup> FakeRuntime::FindContainer(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  if (it == containers_.end()) return std::nullopt;
  return it->second.setup;
}

std::optional<spec::Resources> FakeRuntime::LastUpdate(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  if (it == containers_.end()) return std::nullopt;
  return it->second.update;
}

std::vector<int> FakeRuntime::SignalsSent(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  if (it == containers_.end()) return {};
  return it->second.signals;
}

int FakeRuntime::Calls(const std::string& method) {
  absl::MutexLock lock(&mutex_);
  auto it = calls_.find(method);
  return it == calls_.end() ? 0 : it->second;
}

void FakeRuntime::SetUsage(const std::string& id_or_parent, CgroupUsage usage) {
  absl::MutexLock lock(&mutex_);
  usage_[id_or_parent] = std::move(usage);
}

UniqueFd FakeRuntime::TakeAttached(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  return it == containers_.end() ? UniqueFd() : std::move(it->second.attached);
}

UniqueFd FakeRuntime::TakeInput(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  return it == containers_.end() ? UniqueFd() : std::move(it->second.input_read);
}

}  // namespace berth::runtime
