// SPDX-License-Identifier: Apache-2.0
#include "sandbox/store.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

#include "sandbox/record_codec.h"

namespace berth::sandbox {
namespace {

constexpr std::string_view kMigrations[] = {
    "CREATE TABLE pods(id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE containers(id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
};

template <typename Map>
auto Sorted(const Map& map, auto keep) {
  std::vector<typename Map::mapped_type> out;
  out.reserve(map.size());
  for (const auto& [id, record] : map) {
    if (keep(*record)) out.push_back(record);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a->created_at_ns != b->created_at_ns ? a->created_at_ns > b->created_at_ns
                                                : a->id < b->id;
  });
  return out;
}

template <typename Map>
StatusOr<typename Map::mapped_type> FindByPrefix(const Map& map, const std::string& prefix,
                                                 std::string_view kind) {
  std::string name(kind);
  if (prefix.empty()) return absl::NotFoundError(absl::StrCat(name, " id: empty"));
  if (auto it = map.find(prefix); it != map.end()) return it->second;
  typename Map::mapped_type found;
  if (prefix.size() < 64) {
    for (const auto& [id, record] : map) {
      if (!id.starts_with(prefix)) continue;
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
    pods_[id] = std::make_shared<const PodRecord>(std::move(record));
  }
  for (const auto& row : containers) {
    const std::string& id = TextOf(row[0]);
    ASSIGN_OR_RETURN(auto record, codec::FromText<ContainerRecord>(
                                      TextOf(row[1]), absl::StrCat("record of container ", id)));
    containers_[id] = std::make_shared<const ContainerRecord>(std::move(record));
  }
  return absl::OkStatus();
}

Status Store::Put(const PodRecord& record) {
  Database::Cell row[] = {record.id, Database::Blob{codec::ToText(record)}};
  RETURN_IF_ERROR(
      database_->Run("INSERT INTO pods VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET record=?2", row)
          .status());
  SetPod(record.id, std::make_shared<const PodRecord>(record));
  return absl::OkStatus();
}

Status Store::Put(const ContainerRecord& record) {
  Database::Cell row[] = {record.id, Database::Blob{codec::ToText(record)}};
  RETURN_IF_ERROR(
      database_
          ->Run("INSERT INTO containers VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET record=?2", row)
          .status());
  SetContainer(record.id, std::make_shared<const ContainerRecord>(record));
  return absl::OkStatus();
}

void Store::Remember(const ContainerRecord& record) {
  SetContainer(record.id, std::make_shared<const ContainerRecord>(record));
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

void Store::SetPod(const std::string& id, Pod record) {
  {
    absl::MutexLock lock(&mutex_);
    Pod before = std::exchange(pods_[id], record);
    Announce(EventsOf(before.get(), record.get()), id, record == nullptr ? before : record);
    if (record == nullptr) pods_.erase(id);
  }
  events_->WakeAll();
}

void Store::SetContainer(const std::string& id, Container record) {
  {
    absl::MutexLock lock(&mutex_);
    Container before = std::exchange(containers_[id], record);
    const std::vector<EventType> types = EventsOf(before.get(), record.get());
    const Container known = record == nullptr ? before : record;
    if (record == nullptr) containers_.erase(id);
    if (auto pod = known == nullptr ? pods_.end() : pods_.find(known->pod_id); pod != pods_.end()) {
      Announce(types, id, pod->second);
    }
  }
  events_->WakeAll();
}

void Store::Announce(const std::vector<EventType>& types, const std::string& id,
                     const Pod& pod) const {
  if (types.empty() || !events_->Wanted()) return;
  const std::vector<Container> containers = Sorted(containers_, [&](const ContainerRecord& r) {
    return r.pod_id == pod->id && r.phase != Phase::kCreating;
  });
  for (EventType type : types) {
    events_->Publish({type, id, absl::GetCurrentTimeNanos(), pod, containers});
  }
}

Store::Pod Store::GetPod(const std::string& id) const {
  absl::ReaderMutexLock lock(&mutex_);
  auto it = pods_.find(id);
  return it == pods_.end() ? nullptr : it->second;
}

Store::Container Store::GetContainer(const std::string& id) const {
  absl::ReaderMutexLock lock(&mutex_);
  auto it = containers_.find(id);
  return it == containers_.end() ? nullptr : it->second;
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
  return Sorted(pods_, [](const PodRecord&) { return true; });
}

std::vector<Store::Container> Store::Containers() const {
  absl::ReaderMutexLock lock(&mutex_);
  return Sorted(containers_, [](const ContainerRecord&) { return true; });
}

std::vector<Store::Container> Store::ContainersOf(const std::string& pod_id) const {
  absl::ReaderMutexLock lock(&mutex_);
  return Sorted(containers_, [&](const ContainerRecord& r) { return r.pod_id == pod_id; });
}

Store::Pod Store::PodNamed(const std::string& name) const {
  absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [id, record] : pods_) {
    if (record->config.metadata.has_value() && PodName(*record->config.metadata) == name) {
      return record;
    }
  }
  return nullptr;
}

}  // namespace berth::sandbox
