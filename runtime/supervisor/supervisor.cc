// SPDX-License-Identifier: Apache-2.0
// The spawner's client and the keeper.
#include "runtime/supervisor/supervisor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

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
  // A pod's ID has all of the 64.
  if (name.empty() || name.size() > wire::kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("name \"", name, "\": 1 to 64 bytes wanted"));
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
    // Its maker may have been killed before it had given everything.
    Refill(*spawner_);
    return spawner_;
  }
  if (!absl::IsUnavailable(running.status())) return running.status();
  RETURN_IF_ERROR(StartNewSpawner());
  return spawner_;
}

Status SupervisorImpl::StartNewSpawner() {
  ASSIGN_OR_RETURN(UniqueFd listener, ListenSocket(state_dir_.get(), kSpawnerSocket));
  // Its listener was refusing, so it is dead or in the middle of its end.
  if (own_spawner_ > 0) ::waitpid(own_spawner_, nullptr, 0);
  own_spawner_ = 0;
  ASSIGN_OR_RETURN(own_spawner_, StartSpawner(listener, options_.cgroup_of_monitors_procs_path));
  listener.reset();
  ASSIGN_OR_RETURN(spawner_, OpenSpawnerChannel());
  Refill(*spawner_);
  return absl::OkStatus();
}

// Gives a spawner what its dead predecessor kept: monitors hand over their own part.
void SupervisorImpl::Refill(Channel& spawner) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  for (const auto& [name, fds] : kept_) {
    auto body = NameFor(name);
    std::vector<int> raw;
    for (const UniqueFd& fd : fds) raw.push_back(fd.get());
    if (body.ok()) (void)spawner.Call(wire::kKeep, BytesOf(*body), raw, deadline);
  }
  auto ids = ListPods();
  if (!ids.ok()) return;
  const std::set<std::string> known = PodsOf(spawner);
  for (const std::string& id : *ids) {
    if (known.contains(id)) continue;
    Status handed = HandToSpawner(spawner, id);
    // Nobody is there: OpenPod will say so.
    if (handed.ok() || absl::IsUnavailable(handed)) continue;
    log::Warning("pod ", id, ": refill the spawner: ", handed.message());
  }
}

// The pods whose monitors have told the spawner everything.
std::set<std::string> SupervisorImpl::PodsOf(Channel& spawner) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  std::set<std::string> found;
  for (wire::NameBody after = {};;) {
    auto reply = spawner.Call(wire::kListPods, BytesOf(after), {}, deadline);
    const size_t count = reply.ok() ? reply->body.size() / sizeof after : 0;
    if (count == 0) return found;
    for (size_t i = 0; i < count; ++i) {
      memcpy(&after, reply->body.data() + i * sizeof after, sizeof after);
      found.emplace(after.name, strnlen(after.name, sizeof after.name));
    }
  }
}

// Makes a monitor known to a spawner that did not start it.
Status SupervisorImpl::HandToSpawner(Channel& spawner, const std::string& pod_id) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  ASSIGN_OR_RETURN(wire::NameBody body, NameFor(pod_id));
  ASSIGN_OR_RETURN(ChannelPtr monitor, Monitor(pod_id));
  ASSIGN_OR_RETURN(ChannelReply hello, monitor->Call(wire::kHello, {}, {}, deadline));
  ASSIGN_OR_RETURN(UniqueFd pidfd, sys::PidfdOpen(hello.As<wire::HelloReply>().pid));
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return ErrnoError(errno, "socketpair");
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  int to_spawner[] = {ours.get(), pidfd.get()};
  ASSIGN_OR_RETURN(ChannelReply adopted,
                   spawner.Call(wire::kAdoptMonitor, BytesOf(body), to_spawner, deadline));
  if (adopted.error == EEXIST) return absl::OkStatus();
  if (adopted.error != 0) return ErrnoError(adopted.error, "adopt monitor");
  int to_monitor[] = {theirs.get()};
  return monitor->Call(wire::kNewSpawner, {}, to_monitor, deadline).status();
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
  // What an earlier daemon gave must reach a new spawner as well.
  std::vector<UniqueFd> copies;
  for (const UniqueFd& fd : reply.fds) {
    ASSIGN_OR_RETURN(UniqueFd copy, sys::Dup(fd.get()));
    copies.push_back(std::move(copy));
  }
  absl::MutexLock lock(&spawner_mutex_);
  kept_[name] = std::move(copies);
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
