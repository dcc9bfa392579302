// SPDX-License-Identifier: Apache-2.0
// Records of one kind in memory, by ID and by age.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace berth::sandbox {

// Not thread safe.
template <typename Record>
class RecordTable {
 public:
  using Pointer = std::shared_ptr<const Record>;
  struct Newer {
    bool operator()(const Pointer& a, const Pointer& b) const {
      return a->created_at_ns != b->created_at_ns ? a->created_at_ns > b->created_at_ns
                                                  : a->id < b->id;
    }
  };
  using Order = std::set<Pointer, Newer>;

  // Makes it the record of that ID, nullptr: there is none. Returns what was there before.
  Pointer Set(const std::string& id, Pointer record) {
    Pointer before;
    if (auto it = by_id_.find(id); it != by_id_.end()) {
      before = std::move(it->second);
      order_.erase(before);
      by_id_.erase(it);
    }
    if (record != nullptr) {
      order_.insert(record);
      by_id_.emplace(id, std::move(record));
    }
    return before;
  }
  // nullptr if there is none.
  Pointer Get(const std::string& id) const {
    auto it = by_id_.find(id);
    return it == by_id_.end() ? nullptr : it->second;
  }
  // Newest first.
  const Order& order() const { return order_; }
  std::vector<Pointer> All() const { return {order_.begin(), order_.end()}; }

 private:
  absl::flat_hash_map<std::string, Pointer> by_id_;
  Order order_;
};

}  // namespace berth::sandbox
