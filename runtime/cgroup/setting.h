// SPDX-License-Identifier: Apache-2.0
// Limits as a list of writes to control files: planning is pure, applying is one loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/spec/resources.h"

namespace berth::runtime {

// One write(2) to one control file.
struct Setting {
  std::string controller;  // "memory"; of the hierarchy that has it
  std::string file;        // "memory.max"
  std::string value;
  std::string member;  // of linux.resources, for messages
  // Files with one line per device: the line's first word, and what removes the line again.
  std::string key;
  std::string reset;
  // A missing controller or file is fine: the value asks for nothing.
  bool optional = false;
  // An EINVAL may come from the order of two writes: tried again after the next one.
  bool retry_later = false;
};

// What a planner may ask: the current content of a control file, trimmed; empty if there is none.
using ReadControl = std::function<std::string(const std::string& file)>;

struct Planner {
  bool unified = false;  // the hierarchy of this controller is v2
  ReadControl read;
  std::vector<Setting>* out;
};

// One file per controller. Members that are not given (or 0, where that means so) plan nothing.
Status PlanCpu(const spec::CpuResources& cpu, const Planner& planner);
Status PlanCpuset(const spec::CpuResources& cpu, const Planner& planner);
Status PlanMemory(const spec::MemoryResources& memory, const Planner& planner);
Status PlanPids(int64_t limit, const Planner& planner);
Status PlanHugepages(const std::vector<spec::HugepageLimit>& limits, const Planner& planner);
Status PlanBlockIo(const spec::BlockIoResources& io, const Planner& planner);
Status PlanNetworkClass(const spec::NetworkResources& network, const Planner& planner);
Status PlanNetworkPriority(const spec::NetworkResources& network, const Planner& planner);
Status PlanRdma(const std::map<std::string, spec::RdmaLimit>& rdma, const Planner& planner);
// Only controllers on v2: InvalidArgument naming the key otherwise.
Status PlanUnified(const std::map<std::string, std::string>& unified,
                   const std::function<bool(std::string_view controller)>& on_unified,
                   std::vector<Setting>* out);

// cpu.weight (1 to 10000) for cpu.shares (2 to 262144), so that 2, 1024 and 262144 become 1, 100
// and 10000.
uint64_t WeightFromShares(uint64_t shares);
// io.weight for blkio's 10 to 1000.
uint64_t IoWeightFromBlkio(uint64_t weight);

}  // namespace berth::runtime
