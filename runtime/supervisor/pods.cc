// SPDX-License-Identifier: Apache-2.0
// Pods: their directories, monitors and namespaces, and the delivery of exits.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/directory.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/supervisor/describe.h"
#include "runtime/supervisor/supervisor_impl.h"

namespace berth::runtime {
namespace {

inline constexpr char kMonitorSocket[] = "monitor.sock";
inline constexpr char kExitsFile[] = "exits";

Status CheckPodId(const std::string& id) {
  bool ok = !id.empty() && id.size() <= wire::kMaxNameBytes && id[0] != '.';
  for (char c : id) {
    ok = ok && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '-' || c == '_' || c == '.');
  }
  if (!ok) return absl::InvalidArgumentError(absl::StrCat("pod id \"", id, "\": not an id"));
  return absl::OkStatus();
}

wire::NameBody BodyFor(const std::string& id) {
  wire::NameBody body = {};
  memcpy(body.name, id.data(), id.size());
  return body;
}

}  // namespace

StatusOr<UniqueFd> SupervisorImpl::PodDirectory(const std::string& pod_id, bool create) {
  RETURN_IF_ERROR(CheckPodId(pod_id));
  std::string path = absl::StrCat("pods/", pod_id);
  if (create && ::mkdirat(state_dir_.get(), path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, absl::StrCat("mkdir ", path));
  }
  auto dir = sys::OpenAt(state_dir_.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (absl::IsNotFound(dir.status())) {
    return absl::NotFoundError(absl::StrCat("pod ", pod_id, ": no such pod"));
  }
  return dir;
}

std::vector<wire::ExitRecord> SupervisorImpl::ReadExits(const std::string& pod_id) {
  std::vector<wire::ExitRecord> found;
  auto dir = PodDirectory(pod_id, /*create=*/false);
  if (!dir.ok()) return found;
  auto file = sys::OpenAt(dir->get(), kExitsFile, O_RDONLY | O_NOFOLLOW);
  if (!file.ok()) return found;
  auto text = ReadAll(file->get(), wire::kMaxSlots * sizeof(wire::ExitRecord), "exits");
  if (!text.ok()) return found;
  for (uint32_t slot = 0; (slot + 1) * sizeof(wire::ExitRecord) <= text->size(); ++slot) {
    wire::ExitRecord record;
    memcpy(&record, text->data() + slot * sizeof record, sizeof record);
    if (wire::IsValidExitRecord(record, slot)) found.push_back(record);
  }
  return found;
}

void SupervisorImpl::Deliver(const std::string& pod_id, const wire::ExitRecord& record) {
  absl::MutexLock order(&delivery_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    auto pod = pods_.find(pod_id);
    if (pod == pods_.end() || stopping_) return;
    auto [it, fresh] = pod->second.delivered.try_emplace(record.slot, record.generation);
    if (!fresh && it->second == record.generation) return;
    it->second = record.generation;
  }
  if (listener_ != nullptr) {
    listener_->OnExit(ProcessKey{pod_id, record.slot, record.generation}, record);
  }
}

StatusOr<SupervisorImpl::ChannelPtr> SupervisorImpl::Monitor(const std::string& pod_id) {
  ASSIGN_OR_RETURN(UniqueFd dir, PodDirectory(pod_id, /*create=*/false));
  bool first = false;
  {
    absl::MutexLock lock(&mutex_);
    auto it = pods_.find(pod_id);
    if (it != pods_.end() && it->second.channel != nullptr && !it->second.channel->closed()) {
      return it->second.channel;
    }
    first = it == pods_.end();
  }
  auto connected = ConnectSocket(dir.get(), kMonitorSocket);
  if (!connected.ok()) return Annotate(connected.status(), absl::StrCat("pod ", pod_id));
  // Shared by this table, the hub and the calls under way.
  auto channel = std::make_shared<Channel>(
      *std::move(connected), absl::StrCat("monitor of pod ", pod_id),
      [this, pod_id](const wire::ExitRecord& record) { Deliver(pod_id, record); });
  {
    absl::MutexLock lock(&mutex_);
    Pod& pod = pods_[pod_id];
    if (pod.channel != nullptr && !pod.channel->closed()) return pod.channel;
    pod.channel = channel;
    // What ended before the pod was opened is List's to tell.
    if (first) {
      for (const wire::ExitRecord& record : ReadExits(pod_id)) {
        pod.delivered[record.slot] = record.generation;
      }
    }
  }
  RETURN_IF_ERROR(hub_->Add(channel, [this, pod_id] { OnMonitorClosed(pod_id); }));
  auto hello = channel->Call(wire::kHello, {}, {}, absl::Now() + absl::Seconds(10));
  if (!hello.ok()) {
    channel->Close();
    return hello.status();
  }
  NoteMonitor(pod_id, hello->As<wire::HelloReply>().pid);
  // What ended while nobody listened.
  for (const wire::ExitRecord& record : ReadExits(pod_id)) Deliver(pod_id, record);
  return channel;
}

void SupervisorImpl::NoteMonitor(const std::string& pod_id, int32_t pid) {
  absl::MutexLock lock(&mutex_);
  auto pod = pods_.find(pod_id);
  if (pod == pods_.end() || stopping_) return;
  int32_t before = std::exchange(pod->second.monitor_pid, pid);
  // A lost connection alone is no adoption.
  if (before == 0 || before == pid || listener_ == nullptr) return;
  (void)recovery_->Post([this, pod_id] { listener_->OnAdopted(pod_id); });
}

void SupervisorImpl::OnMonitorClosed(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || !pods_.contains(pod_id)) return;
  // The spawner starts an adopting monitor by itself; the socket waits for it.
  (void)recovery_->Post([this, pod_id] {
    if (auto spawner = Spawner(); !spawner.ok()) return;
    (void)Monitor(pod_id);
  });
}

StatusOr<ChannelReply> SupervisorImpl::CallMonitor(const std::string& pod_id, uint16_t op,
                                                   std::string_view body, std::span<const int> fds,
                                                   absl::Time deadline) {
  deadline = std::min(deadline, absl::Now() + kCallTimeout);
  for (int attempt = 0;; ++attempt) {
    auto monitor = Monitor(pod_id);
    Status status = monitor.status();
    if (monitor.ok()) {
      auto reply = (*monitor)->Call(op, body, fds, deadline);
      if (!absl::IsUnavailable(reply.status())) return reply;
      status = reply.status();
      (*monitor)->Close();
    }
    // Idempotent by (slot, generation): an adopter answers the same request.
    if (!absl::IsUnavailable(status) || attempt == 10 || absl::Now() >= deadline) return status;
  }
}

Status SupervisorImpl::StartMonitor(const std::string& pod_id) {
  ASSIGN_OR_RETURN(UniqueFd dir, PodDirectory(pod_id, /*create=*/true));
  ASSIGN_OR_RETURN(UniqueFd exits,
                   sys::OpenAt(dir.get(), kExitsFile, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  ASSIGN_OR_RETURN(UniqueFd listener, ListenSocket(dir.get(), kMonitorSocket));
  int fds[] = {listener.get(), exits.get()};
  wire::NameBody body = BodyFor(pod_id);
  ASSIGN_OR_RETURN(ChannelReply reply, CallSpawner(wire::kSpawnMonitor, BytesOf(body), fds));
  if (reply.error != 0) {
    return ErrnoError(reply.error, absl::StrCat("start monitor of pod ", pod_id));
  }
  return absl::OkStatus();
}

StatusOr<PodNamespaces> SupervisorImpl::NamespacesOf(ChannelReply reply) {
  wire::PodInfo info = reply.As<wire::PodInfo>();
  PodNamespaces namespaces;
  namespaces.monitor_pid = info.monitor_pid;
  namespaces.monitor_netns_fd = info.netns_fd;
  namespaces.pause_pid = info.pause_pid;
  UniqueFd* places[wire::kPodNamespaceCount] = {&namespaces.net, &namespaces.ipc,
                                                &namespaces.uts, &namespaces.user,
                                                &namespaces.pid, &namespaces.mounts};
  size_t next = 0;
  for (uint32_t k = 0; k < wire::kPodNamespaceCount; ++k) {
    if ((info.mask >> k & 1) == 0 || next >= reply.fds.size()) continue;
    *places[k] = std::move(reply.fds[next++]);
  }
  return namespaces;
}

StatusOr<PodNamespaces> SupervisorImpl::CreatePod(const Context& context,
                                                  const PodRequest& request) {
  RETURN_IF_ERROR(context.Check());
  RETURN_IF_ERROR(CheckPodId(request.pod_id));
  if (request.uid_map.size() >= wire::kMaxMapBytes ||
      request.gid_map.size() >= wire::kMaxMapBytes) {
    return absl::InvalidArgumentError("id map: too long");
  }
  // A pod that is there stays as it is; half of one makes room.
  if (auto existing = OpenPod(request.pod_id); existing.ok()) return existing;
  RETURN_IF_ERROR(DestroyPod(request.pod_id));
  Status started = StartMonitor(request.pod_id);
  if (!started.ok()) {
    (void)DestroyPod(request.pod_id);
    return started;
  }
  wire::PodNamespacesBody body = {};
  body.clone_flags = request.clone_flags;
  body.plan_fd_count = static_cast<uint32_t>(request.fds.size());
  memcpy(body.uid_map, request.uid_map.data(), request.uid_map.size());
  memcpy(body.gid_map, request.gid_map.data(), request.gid_map.size());
  ASSIGN_OR_RETURN(UniqueFd plan, sys::Memfd("plan", request.plan, /*sealed=*/true));
  std::vector<int> fds = {plan.get()};
  if (request.pause_cgroup.ok()) {
    body.flags |= wire::kLaunchHasCgroup;
    fds.push_back(request.pause_cgroup.get());
  }
  if (request.mounts >= 0) {
    body.flags |= wire::kPodHasMounts;
    fds.push_back(request.mounts);
  }
  fds.insert(fds.end(), request.fds.begin(), request.fds.end());
  auto reply =
      CallMonitor(request.pod_id, wire::kPodNamespaces, BytesOf(body), fds, context.deadline());
  Status failed = reply.status();
  if (reply.ok() && reply->error != 0) {
    wire::PodInfo info = reply->As<wire::PodInfo>();
    failed = info.failed_plan != 0 ? DescribeFailure(request.plan, info.failure)
                                   : ErrnoError(reply->error, "make namespaces");
  }
  if (!failed.ok()) {
    (void)DestroyPod(request.pod_id);
    return Annotate(failed, absl::StrCat("pod ", request.pod_id));
  }
  return NamespacesOf(*std::move(reply));
}

StatusOr<PodNamespaces> SupervisorImpl::OpenPod(const std::string& pod_id) {
  auto reply = CallMonitor(pod_id, wire::kPodInfo, {}, {}, absl::InfiniteFuture());
  if (absl::IsUnavailable(reply.status())) {
    return absl::NotFoundError(absl::StrCat("pod ", pod_id, ": its monitor is lost"));
  }
  if (!reply.ok()) return reply.status();
  if (reply->error != 0) return ErrnoError(reply->error, absl::StrCat("open pod ", pod_id));
  if (reply->As<wire::PodInfo>().ready == 0) {
    return absl::NotFoundError(absl::StrCat("pod ", pod_id, ": was never finished"));
  }
  return NamespacesOf(*std::move(reply));
}

Status SupervisorImpl::DestroyPod(const std::string& pod_id) {
  RETURN_IF_ERROR(CheckPodId(pod_id));
  {
    // Nothing reconnects from here on.
    absl::MutexLock lock(&mutex_);
    pods_.erase(pod_id);
  }
  wire::NameBody body = BodyFor(pod_id);
  ASSIGN_OR_RETURN(ChannelReply reply, CallSpawner(wire::kDropPod, BytesOf(body), {}));
  if (reply.error == ENOENT) {
    // Not a pod of this spawner; its monitor may live all the same.
    ASSIGN_OR_RETURN(ChannelPtr spawner, Spawner());
    Status handed = HandToSpawner(*spawner, pod_id);
    {
      absl::MutexLock lock(&mutex_);
      pods_.erase(pod_id);
    }
    if (handed.ok()) {
      ASSIGN_OR_RETURN(reply, CallSpawner(wire::kDropPod, BytesOf(body), {}));
    } else if (!absl::IsNotFound(handed) && !absl::IsUnavailable(handed)) {
      return Annotate(handed, absl::StrCat("destroy pod ", pod_id));
    }
  }
  if (reply.error != 0 && reply.error != ENOENT) {
    return ErrnoError(reply.error, absl::StrCat("destroy pod ", pod_id));
  }
  ASSIGN_OR_RETURN(UniqueFd pods, sys::OpenAt(state_dir_.get(), "pods", O_RDONLY | O_DIRECTORY));
  return RemoveTree(pods.get(), pod_id);
}

StatusOr<std::vector<std::string>> SupervisorImpl::ListPods() {
  // A monitor never exists without its directory.
  return ListDirectory(state_dir_.get(), "pods");
}

}  // namespace berth::runtime
