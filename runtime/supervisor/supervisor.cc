// SPDX-License-Identifier: Apache-2.0
// The spawner's client and the keeper.
#include "runtime/supervisor/supervisor.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"
#include "runtime/supervisor/spawner_process.h"
#include "runtime/supervisor/supervisor_impl.h"

namespace berth::runtime {
namespace {

inline constexpr char kSpawnerSocket[] = "spawner.sock";

StatusOr<wire::NameBody> NameFor(const std::string& name) {
  if (name.empty() || name.size() >= wire::kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("name \"", name, "\": 1 to 63 bytes wanted"));
  }
  wire::NameBody body = {};
  memcpy(body.name, name.data(), name.size());
  return body;
}

}  // namespace

std::string NameOf(const ProcessKey& key) {
  return absl::StrCat("slot ", key.slot, " of pod ", key.pod_id);
}

SupervisorImpl::SupervisorImpl(Options options, SupervisorListener* listener,
                               std::unique_ptr<Hub> hub, UniqueFd state_dir)
    : options_(std::move(options)),
      listener_(listener),
      state_dir_(std::move(state_dir)),
      hub_(std::move(hub)),
      recovery_(std::make_unique<Executor>(
          Executor::Options{.name = "recovery", .threads = 1, .max_queued = 4096})) {}

SupervisorImpl::~SupervisorImpl() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  hub_->Stop();
  recovery_.reset();
}

StatusOr<std::unique_ptr<Supervisor>> Supervisor::Start(const Options& options,
                                                        SupervisorListener* listener) {
  RETURN_IF_ERROR(MakeDirs(absl::StrCat(options.state_dir, "/pods"), 0700));
  ASSIGN_OR_RETURN(UniqueFd dir, sys::Open(options.state_dir, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(auto hub, Hub::Create());
  auto supervisor =
      std::make_unique<SupervisorImpl>(options, listener, std::move(hub), std::move(dir));
  RETURN_IF_ERROR(supervisor->Connect());
  return supervisor;
}

Status SupervisorImpl::Connect() { return Spawner().status(); }

StatusOr<SupervisorImpl::ChannelPtr> SupervisorImpl::OpenSpawnerChannel() {
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectSocket(state_dir_.get(), kSpawnerSocket));
  // Shared by this table, the hub and the calls under way.
  auto channel = std::make_shared<Channel>(std::move(fd), "spawner", nullptr);
  RETURN_IF_ERROR(hub_->Add(channel, [this] {
    absl::MutexLock lock(&mutex_);
    if (!stopping_) (void)recovery_->Post([this] { (void)Spawner(); });
  }));
  auto hello = channel->Call(wire::kHello, {}, {}, absl::Now() + absl::Seconds(5));
  if (!hello.ok()) {
    channel->Close();
    return hello.status();
  }
  return channel;
}

StatusOr<SupervisorImpl::ChannelPtr> SupervisorImpl::Spawner() {
  absl::MutexLock lock(&spawner_mutex_);
  if (spawner_ != nullptr && !spawner_->closed()) return spawner_;
  {
    absl::MutexLock inner(&mutex_);
    if (stopping_) return absl::CancelledError("supervisor is stopping");
  }
  auto running = OpenSpawnerChannel();
  if (running.ok()) {
    spawner_ = *running;
    return spawner_;
  }
  if (!absl::IsUnavailable(running.status())) return running.status();
  RETURN_IF_ERROR(StartNewSpawner());
  return spawner_;
}

Status SupervisorImpl::StartNewSpawner() {
  ASSIGN_OR_RETURN(UniqueFd listener, ListenSocket(state_dir_.get(), kSpawnerSocket));
  RETURN_IF_ERROR(StartSpawner(listener, options_.cgroup_of_monitors_procs_path));
  listener.reset();
  ASSIGN_OR_RETURN(spawner_, OpenSpawnerChannel());
  Refill(*spawner_);
  return absl::OkStatus();
}

// Gives a new spawner what its dead predecessor kept: monitors hand over their own part.
void SupervisorImpl::Refill(Channel& spawner) {
  absl::Time deadline = absl::Now() + absl::Seconds(5);
  for (const auto& [name, fds] : kept_) {
    auto body = NameFor(name);
    std::vector<int> raw;
    for (const UniqueFd& fd : fds) raw.push_back(fd.get());
    if (body.ok()) (void)spawner.Call(wire::kKeep, BytesOf(*body), raw, deadline);
  }
  auto ids = ListPods();
  if (!ids.ok()) return;
  for (const std::string& id : *ids) {
    auto body = NameFor(id);
    auto monitor = Monitor(id);
    if (!body.ok() || !monitor.ok()) continue;
    auto hello = (*monitor)->Call(wire::kHello, {}, {}, deadline);
    if (!hello.ok()) continue;
    auto pidfd = sys::PidfdOpen(hello->As<wire::HelloReply>().pid);
    int pair[2];
    if (!pidfd.ok() || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) continue;
    UniqueFd ours(pair[0]);
    UniqueFd theirs(pair[1]);
    int to_spawner[] = {ours.get(), pidfd->get()};
    auto adopted = spawner.Call(wire::kAdoptMonitor, BytesOf(*body), to_spawner, deadline);
    if (!adopted.ok() || adopted->error != 0) continue;
    int to_monitor[] = {theirs.get()};
    auto handed = (*monitor)->Call(wire::kNewSpawner, {}, to_monitor, deadline);
    if (!handed.ok()) log::Warning("pod ", id, ": refill the spawner: ", handed.status().message());
  }
}

StatusOr<ChannelReply> SupervisorImpl::CallSpawner(uint16_t op, std::string_view body,
                                                   std::span<const int> fds) {
  absl::Time deadline = absl::Now() + kCallTimeout;
  for (int attempt = 0;; ++attempt) {
    ASSIGN_OR_RETURN(ChannelPtr spawner, Spawner());
    auto reply = spawner->Call(op, body, fds, deadline);
    // Every request to the spawner may be repeated.
    if (!absl::IsUnavailable(reply.status()) || attempt == 5) return reply;
    spawner->Close();
  }
}

Status SupervisorImpl::Keep(const std::string& name, std::span<const int> fds) {
  ASSIGN_OR_RETURN(wire::NameBody body, NameFor(name));
  ASSIGN_OR_RETURN(ChannelReply reply, CallSpawner(wire::kKeep, BytesOf(body), fds));
  if (reply.error != 0) return ErrnoError(reply.error, absl::StrCat("keep ", name));
  std::vector<UniqueFd> copies;
  for (int fd : fds) {
    ASSIGN_OR_RETURN(UniqueFd copy, sys::Dup(fd));
    copies.push_back(std::move(copy));
  }
  absl::MutexLock lock(&spawner_mutex_);
  kept_[name] = std::move(copies);
  return absl::OkStatus();
}

StatusOr<std::vector<UniqueFd>> SupervisorImpl::Fetch(const std::string& name) {
  ASSIGN_OR_RETURN(wire::NameBody body, NameFor(name));
  ASSIGN_OR_RETURN(ChannelReply reply, CallSpawner(wire::kFetch, BytesOf(body), {}));
  if (reply.error != 0) return ErrnoError(reply.error, absl::StrCat("fetch ", name));
  return std::move(reply.fds);
}

Status SupervisorImpl::Drop(const std::string& name) {
  ASSIGN_OR_RETURN(wire::NameBody body, NameFor(name));
  {
    absl::MutexLock lock(&spawner_mutex_);
    kept_.erase(name);
  }
  ASSIGN_OR_RETURN(ChannelReply reply, CallSpawner(wire::kDropKept, BytesOf(body), {}));
  if (reply.error != 0) return ErrnoError(reply.error, absl::StrCat("drop ", name));
  return absl::OkStatus();
}

}  // namespace berth::runtime
