// SPDX-License-Identifier: Apache-2.0
#include "sandbox/store.h"

#include <utility>

#include "absl/time/clock.h"

#include "sandbox/describe.h"
#include "sandbox/record_codec.h"

namespace berth::sandbox {
namespace {

constexpr std::string_view kMigrations[] = {
    "CREATE TABLE pods(id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE containers(id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
};

template <typename Record>
StatusOr<std::shared_ptr<const Record>> FindByPrefix(const RecordTable<Record>& table,
                                                     const std::string& prefix,
                                                     std::string_view kind) {
  std::string name(kind);
  if (prefix.empty()) return absl::NotFoundError(absl::StrCat(name, " id: empty"));
  std::shared_ptr<const Record> found = table.Get(prefix);
  if (found == nullptr && prefix.size() < 64) {
    for (const auto& record : table.order()) {
      if (!record->id.starts_with(prefix)) continue;
      if (found != nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, " id \"", prefix, "\": ambiguous prefix"));
      }
      found = record;
    }
  }
  if (found == nullptr) {
    return absl::NotFoundError(absl::StrCat(name, " \"", prefix.substr(0, 128), "\": not found"));
  }
  return found;
}

}  // namespace

std::string PodName(const PodMetadata& metadata) {
  return absl::StrCat(metadata.name, "_", metadata.ns, "_", metadata.uid, "_", metadata.attempt);
}

PodStatus StoredPod::Show() const { return Describe(*this); }
ContainerStatus StoredContainer::Show() const { return Summarize(*this); }

StatusOr<std::unique_ptr<Store>> Store::Open(Database* database, EventHub* events) {
  RETURN_IF_ERROR(database->Migrate("sandbox", kMigrations));
  std::unique_ptr<Store> store(new Store(database, events));
  RETURN_IF_ERROR(store->Load());
  return store;
}

Status Store::Load() {
  ASSIGN_OR_RETURN(auto pods, database_->Run("SELECT id, record FROM pods"));
  ASSIGN_OR_RETURN(auto containers, database_->Run("SELECT id, record FROM containers"));
  absl::MutexLock lock(&mutex_);
  for (const auto& row : pods) {
    const std::string& id = TextOf(row[0]);
    ASSIGN_OR_RETURN(auto record, codec::FromText<PodRecord>(TextOf(row[1]),
                                                             absl::StrCat("record of pod ", id)));
    pods_.Set(id, std::make_shared<const StoredPod>(std::move(record)));
  }
  for (const auto& row : containers) {
    const std::string& id = TextOf(row[0]);
    ASSIGN_OR_RETURN(auto record, codec::FromText<ContainerRecord>(
                                      TextOf(row[1]), absl::StrCat("record of container ", id)));
    auto container = std::make_shared<const StoredContainer>(std::move(record));
    by_pod_[container->pod_id].insert(container);
    containers_.Set(id, std::move(container));
  }
  return absl::OkStatus();
}

Status Store::Put(const PodRecord& record) {
  Database::Cell row[] = {record.id, Database::Blob{codec::ToText(record)}};
  RETURN_IF_ERROR(
      database_->Run("INSERT INTO pods VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET record=?2", row)
          .status());
  SetPod(record.id, std::make_shared<const StoredPod>(record));
  return absl::OkStatus();
}

Status Store::Put(const ContainerRecord& record) {
  Database::Cell row[] = {record.id, Database::Blob{codec::ToText(record)}};
  RETURN_IF_ERROR(
      database_
          ->Run("INSERT INTO containers VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET record=?2", row)
          .status());
  SetContainer(record.id, std::make_shared<const StoredContainer>(record));
  return absl::OkStatus();
}

void Store::Remember(const ContainerRecord& record) {
  SetContainer(record.id, std::make_shared<const StoredContainer>(record));
}

Status Store::ErasePod(const std::string& id) {
  Database::Cell key[] = {id};
  RETURN_IF_ERROR(database_->Run("DELETE FROM pods WHERE id=?1", key).status());
  SetPod(id, nullptr);
  return absl::OkStatus();
}

Status Store::EraseContainer(const std::string& id) {
  Database::Cell key[] = {id};
  RETURN_IF_ERROR(database_->Run("DELETE FROM containers WHERE id=?1", key).status());
  SetContainer(id, nullptr);
  return absl::OkStatus();
}

void Store::SetPod(const std::string& id, const Pod& record) {
  {
    absl::MutexLock lock(&mutex_);
    Pod before = pods_.Set(id, record);
    Announce(EventsOf(before.get(), record.get()), id, record == nullptr ? before : record);
  }
  events_->WakeAll();
}

void Store::SetContainer(const std::string& id, const Container& record) {
  {
    absl::MutexLock lock(&mutex_);
    Container before = containers_.Set(id, record);
    const Container known = record == nullptr ? before : record;
    if (known == nullptr) return;
    auto of_pod = by_pod_.try_emplace(known->pod_id).first;
    if (before != nullptr) of_pod->second.erase(before);
    if (record != nullptr) of_pod->second.insert(record);
    if (of_pod->second.empty()) by_pod_.erase(of_pod);
    if (Pod pod = pods_.Get(known->pod_id); pod != nullptr) {
      Announce(EventsOf(before.get(), record.get()), id, pod);
    }
  }
  events_->WakeAll();
}

void Store::Announce(const std::vector<EventType>& types, const std::string& id,
                     const Pod& pod) const {
  if (types.empty() || !events_->Wanted()) return;
  std::vector<std::shared_ptr<const ContainerRecord>> containers;
  if (auto of_pod = by_pod_.find(pod->id); of_pod != by_pod_.end()) {
    for (const Container& container : of_pod->second) {
      if (container->phase != Phase::kCreating) containers.push_back(container);
    }
  }
  for (EventType type : types) {
    events_->Publish({type, id, absl::GetCurrentTimeNanos(), pod, containers});
  }
}

Store::Pod Store::GetPod(const std::string& id) const {
  absl::ReaderMutexLock lock(&mutex_);
  return pods_.Get(id);
}

Store::Container Store::GetContainer(const std::string& id) const {
  absl::ReaderMutexLock lock(&mutex_);
  return containers_.Get(id);
}

StatusOr<Store::Pod> Store::FindPod(const std::string& prefix) const {
  absl::ReaderMutexLock lock(&mutex_);
  return FindByPrefix(pods_, prefix, "pod sandbox");
}

StatusOr<Store::Container> Store::FindContainer(const std::string& prefix) const {
  absl::ReaderMutexLock lock(&mutex_);
  return FindByPrefix(containers_, prefix, "container");
}

std::vector<Store::Pod> Store::Pods() const {
  absl::ReaderMutexLock lock(&mutex_);
  return pods_.All();
}

std::vector<Store::Container> Store::Containers() const {
  absl::ReaderMutexLock lock(&mutex_);
  return containers_.All();
}

std::vector<Store::Container> Store::ContainersOf(const std::string& pod_id) const {
  absl::ReaderMutexLock lock(&mutex_);
  auto of_pod = by_pod_.find(pod_id);
  if (of_pod == by_pod_.end()) return {};
  return {of_pod->second.begin(), of_pod->second.end()};
}

Store::Pod Store::PodNamed(const std::string& name) const {
  absl::ReaderMutexLock lock(&mutex_);
  for (const Pod& record : pods_.order()) {
    if (record->config.metadata.has_value() && PodName(*record->config.metadata) == name) {
      return record;
    }
  }
  return nullptr;
}

}  // namespace berth::sandbox
