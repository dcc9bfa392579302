// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/sys.h"
#include "sandbox/apparmor.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {

int64_t NowNs() { return absl::GetCurrentTimeNanos(); }

StatusOr<std::unique_ptr<Manager>> Manager::Create(const Options& options, const Parts& parts) {
  auto events = std::make_unique<EventHub>();
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(parts.database, events.get()));
  ASSIGN_OR_RETURN(std::unique_ptr<ContainerStreams> streams, ContainerStreams::Make(store.get()));
  ASSIGN_OR_RETURN(std::string boot_id, sys::BootId());
  for (const Handler& handler : options.handlers.all()) {
    const std::string& profile = handler.apparmor_profile;
    if (profile.empty() || !ApparmorLacks(profile)) continue;
    log::Warning("handler ", handler.name, ": AppArmor profile \"", profile,
                 "\" is not loaded: containers that do not ask for it run without one");
  }
  ASSIGN_OR_RETURN(Selinux selinux, Selinux::Load(options.selinux));
  return std::unique_ptr<Manager>(new ManagerImpl(options, parts, std::move(events),
                                                  std::move(store), std::move(streams),
                                                  std::move(boot_id), std::move(selinux)));
}

ManagerImpl::ManagerImpl(Options options, Parts parts, std::unique_ptr<EventHub> events,
                         std::unique_ptr<Store> store, std::unique_ptr<ContainerStreams> streams,
                         std::string boot_id, Selinux selinux)
    : options_(std::move(options)),
      images_(parts.images),
      network_(parts.network),
      boot_id_(std::move(boot_id)),
      events_(std::move(events)),
      store_(std::move(store)),
      streams_(std::move(streams)),
      collector_({.store = store_.get(),
                  .images = images_,
                  .network = network_,
                  .filesystem = options_.root + "/images"}),
      selinux_(std::move(selinux)),
      // As many exits may wait as containers can run; each is a few bytes.
      exits_(std::make_unique<Executor>(
          Executor::Options{.name = "exits", .threads = 1, .max_queued = 1 << 20})) {}

ManagerImpl::~ManagerImpl() { Quiesce(); }

void ManagerImpl::Quiesce() {
  streams_->Quiesce();
  collector_.Stop();
  std::unique_ptr<Executor> last;
  {
    absl::MutexLock lock(&exits_mutex_);
    last = std::move(exits_);
  }
}

Status ManagerImpl::Mutate(const std::string& container_id,
                           const std::function<void(ContainerRecord&)>& change) const {
  absl::MutexLock lock(&mutate_);
  Store::Container record = store_->GetContainer(container_id);
  if (record == nullptr) {
    return absl::NotFoundError(absl::StrCat("container \"", container_id, "\": not found"));
  }
  ContainerRecord changed = *record;
  change(changed);
  Status stored = store_->Put(changed);
  // An end is an end, written or not: the exit record tells the next daemon.
  if (!stored.ok() && changed.state == ContainerState::kExited) store_->Remember(changed);
  return stored;
}

StatusOr<const Handler*> ManagerImpl::HandlerOf(const PodRecord& pod) const {
  const Handler* handler = options_.handlers.Find(pod.handler);
  if (handler == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("pod sandbox ", pod.id, ": its handler \"",
                                                      pod.handler, "\" is no longer configured"));
  }
  return handler;
}

std::string ManagerImpl::PodDir(const std::string& pod_id) const {
  return absl::StrCat(options_.root, "/pods/", pod_id);
}

}  // namespace berth::sandbox
