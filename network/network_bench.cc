// SPDX-License-Identifier: Apache-2.0
// Attach and Detach on real namespaces, in a namespace of the program's own. Needs root.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "network/network.h"
#include "network/test_namespace.h"

namespace berth::network {
namespace {

std::string PodId(int number) {
  std::string digits = absl::StrCat(number);
  return std::string(64 - digits.size(), 'b') + digits;
}

void Percentiles(benchmark::State& state, const char* name, std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  state.counters[absl::StrCat(name, "_p50_us")] = values[values.size() / 2];
  state.counters[absl::StrCat(name, "_p99_us")] = values[values.size() * 99 / 100];
}

// range(0): host ports per pod.
void AttachDetach(benchmark::State& state) {
  EnterFreshNamespaceForTest();
  auto network = CreateBuiltin({});
  if (!network.ok() || !(*network)->Recover({}).ok()) {
    state.SkipWithError("cannot create the network");
    return;
  }
  std::vector<double> attach, detach;
  int number = 0;
  for (auto _ : state) {
    state.PauseTiming();
    UniqueFd netns = MakeNamespaceForTest();
    AttachRequest request{PodId(++number), netns.get(), {}};
    for (int i = 0; i < state.range(0); ++i) {
      request.port_mappings.push_back({Protocol::kTcp, 80, static_cast<uint16_t>(10000 + i), ""});
    }
    state.ResumeTiming();
    absl::Time start = absl::Now();
    Status status = (*network)->Attach({}, request).status();
    absl::Time attached = absl::Now();
    status.Update((*network)->Detach({}, request.pod_id));
    absl::Time detached = absl::Now();
    if (!status.ok()) {
      state.SkipWithError(std::string(status.message()).c_str());
      return;
    }
    attach.push_back(absl::ToDoubleMicroseconds(attached - start));
    detach.push_back(absl::ToDoubleMicroseconds(detached - attached));
  }
  Percentiles(state, "attach", attach);
  Percentiles(state, "detach", detach);
}
BENCHMARK(AttachDetach)->Arg(0)->Arg(2)->Iterations(200)->Unit(benchmark::kMicrosecond);

// One iteration asks for the counters of all pods, 250 of them.
void ReadAllUsage(benchmark::State& state) {
  EnterFreshNamespaceForTest();
  auto network = CreateBuiltin({});
  if (!network.ok() || !(*network)->Recover({}).ok()) {
    state.SkipWithError("cannot create the network");
    return;
  }
  std::vector<UniqueFd> namespaces;
  std::vector<std::string> pods;
  for (int i = 0; i < 250; ++i) {
    namespaces.push_back(MakeNamespaceForTest());
    pods.push_back(PodId(i));
    AttachRequest request;
    request.pod_id = pods.back();
    request.netns_fd = namespaces.back().get();
    if (Status status = (*network)->Attach({}, request).status(); !status.ok()) {
      state.SkipWithError(std::string(status.message()).c_str());
      return;
    }
  }
  for (auto _ : state) {
    auto usage = (*network)->ReadUsage(pods, static_cast<UsageDetail>(state.range(0)));
    if (!usage.ok() || usage->size() != pods.size()) {
      state.SkipWithError("not all pods answered");
      return;
    }
    benchmark::DoNotOptimize(usage);
  }
}
BENCHMARK(ReadAllUsage)
    ->ArgName("detail")
    ->Arg(static_cast<int>(UsageDetail::kStats))
    ->Arg(static_cast<int>(UsageDetail::kAll))
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace berth::network

BENCHMARK_MAIN();
