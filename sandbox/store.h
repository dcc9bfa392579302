// SPDX-License-Identifier: Apache-2.0
// The records of pods and containers, in SQLite and in memory: one truth, written through.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/database.h"
#include "sandbox/event_hub.h"
#include "sandbox/listed.h"
#include "sandbox/record_table.h"
#include "sandbox/records.h"

namespace berth::sandbox {

// Records as the store keeps them: they can be listed as they are.
struct StoredPod final : PodRecord, Listed<PodStatus> {
  explicit StoredPod(PodRecord record) : PodRecord(std::move(record)) {}
  PodStatus Show() const override;
};
struct StoredContainer final : ContainerRecord, Listed<ContainerStatus> {
  explicit StoredContainer(ContainerRecord record) : ContainerRecord(std::move(record)) {}
  ContainerStatus Show() const override;
};

// The records handed out are immutable and shared: the table owns the current one, readers own
// what they looked up. Thread safe; readers never wait for the disk.
class Store {
 public:
  using Pod = std::shared_ptr<const StoredPod>;
  using Container = std::shared_ptr<const StoredContainer>;

  // Loads everything. DataLoss if a record cannot be read. Every later change is told to `events`,
  // in the order in which readers see it. Both outlive the store.
  static StatusOr<std::unique_ptr<Store>> Open(Database* database, EventHub* events);

  // On disk first (not fsynced: see Database::Transact), then in memory.
  Status Put(const PodRecord& record);
  Status Put(const ContainerRecord& record);
  // In memory only: for what is true although the disk is full, and is found again elsewhere.
  void Remember(const ContainerRecord& record);
  Status ErasePod(const std::string& id);
  Status EraseContainer(const std::string& id);

  // By full ID; nullptr if unknown.
  Pod GetPod(const std::string& id) const;
  Container GetContainer(const std::string& id) const;
  // By unique prefix. NotFound for an empty or unknown one, InvalidArgument for an ambiguous one.
  StatusOr<Pod> FindPod(const std::string& prefix) const;
  StatusOr<Container> FindContainer(const std::string& prefix) const;

  // Sorted by creation time, newest first.
  std::vector<Pod> Pods() const;
  std::vector<Container> Containers() const;
  std::vector<Container> ContainersOf(const std::string& pod_id) const;
  // nullptr if there is none with that name.
  Pod PodNamed(const std::string& name) const;

 private:
  Store(Database* database, EventHub* events) : database_(database), events_(events) {}
  Status Load();
  // Makes it the current record, nullptr: none.
  void SetPod(const std::string& id, const Pod& record);
  void SetContainer(const std::string& id, const Container& record);
  void Announce(const std::vector<EventType>& types, const std::string& id, const Pod& pod) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  Database* const database_;
  EventHub* const events_;
  mutable absl::Mutex mutex_;
  RecordTable<StoredPod> pods_ ABSL_GUARDED_BY(mutex_);
  RecordTable<StoredContainer> containers_ ABSL_GUARDED_BY(mutex_);
  // Of pods that have any.
  absl::flat_hash_map<std::string, RecordTable<StoredContainer>::Order> by_pod_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox
