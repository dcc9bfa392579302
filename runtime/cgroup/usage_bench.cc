// SPDX-License-Identifier: Apache-2.0
// Readings of many cgroups of the machine, as a list of statistics takes them. Needs root.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/cgroup/cgroup.h"

namespace berth::runtime {
namespace {

// 250 cgroups beside each other; removed with the object, and their parents with the last.
class Cgroups {
 public:
  Cgroups() {
    StatusOr<std::unique_ptr<CgroupManager>> manager = CgroupManager::Create({});
    if (!manager.ok()) return;
    manager_ = *std::move(manager);
    const std::string parent = absl::StrCat("/berth-bench-", getpid());
    for (int i = 0; i < 250; ++i) {
      StatusOr<Cgroup> cgroup = manager_->Create(parent, absl::StrCat("box", i));
      if (cgroup.ok()) cgroups_.push_back(*std::move(cgroup));
    }
  }
  ~Cgroups() {
    for (const Cgroup& cgroup : cgroups_) cgroup.Remove().IgnoreError();
  }
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  const std::vector<Cgroup>& all() const { return cgroups_; }

 private:
  std::unique_ptr<CgroupManager> manager_;
  std::vector<Cgroup> cgroups_;
};

// range(0): the UsageDetail. One iteration reads all cgroups.
void ReadAllUsage(benchmark::State& state) {
  const Cgroups cgroups;
  if (cgroups.all().size() != 250) {
    state.SkipWithError("cannot create the cgroups");
    return;
  }
  const auto detail = static_cast<UsageDetail>(state.range(0));
  for (auto _ : state) {
    for (const Cgroup& cgroup : cgroups.all()) {
      StatusOr<CgroupUsage> usage = cgroup.ReadUsage(detail);
      if (!usage.ok()) {
        state.SkipWithError(std::string(usage.status().message()).c_str());
        return;
      }
      benchmark::DoNotOptimize(usage);
    }
  }
}
BENCHMARK(ReadAllUsage)
    ->Arg(static_cast<int>(UsageDetail::kCpuTime))
    ->Arg(static_cast<int>(UsageDetail::kStats))
    ->Arg(static_cast<int>(UsageDetail::kAll))
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace berth::runtime

BENCHMARK_MAIN();
