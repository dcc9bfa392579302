// SPDX-License-Identifier: Apache-2.0
// Latency of pods, containers and execs through the Runtime, as sandbox/ sees it. Each figure is
// from the call to its return; for starts and execs the program then runs.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "runtime/runtime_test_node.h"

namespace berth::runtime {
namespace {

// Times `work` only; `after` undoes it. Adds minimum and percentiles in microseconds.
void Measure(benchmark::State& state, const std::function<void()>& before,
             const std::function<Status()>& work, const std::function<void()>& after) {
  std::vector<double> times;
  for (auto _ : state) {
    before();
    const absl::Time start = absl::Now();
    Status status = work();
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    if (!status.ok()) {
      state.SkipWithError(status.ToString().c_str());
      break;
    }
    state.SetIterationTime(seconds);
    times.push_back(seconds * 1e6);
    after();
  }
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  state.counters["min_us"] = times.front();
  state.counters["p50_us"] = times[times.size() / 2];
  state.counters["p99_us"] = times[times.size() * 99 / 100];
}

void CreateContainer(benchmark::State& state) {
  TestNode node;
  PodSetup pod = node.NewPod();
  node.CreatePod(pod);
  ContainerSetup setup;
  Measure(
      state, [&] { setup = node.NewContainer(pod, {"true"}); },
      [&] { return node.runtime().CreateContainer(Context(), setup); },
      [&] { node.Delete(setup); });
}
BENCHMARK(CreateContainer)->Iterations(300)->UseManualTime()->Unit(benchmark::kMicrosecond);

void StartContainer(benchmark::State& state) {
  TestNode node;
  PodSetup pod = node.NewPod();
  node.CreatePod(pod);
  ContainerSetup setup;
  Measure(
      state,
      [&] {
        setup = node.NewContainer(pod, {"sleep", "1000"});
        Status created = node.runtime().CreateContainer(Context(), setup);
        if (!created.ok()) state.SkipWithError(created.ToString().c_str());
      },
      [&] { return node.runtime().StartContainer(Context(), setup.container_id).status(); },
      [&] { node.Delete(setup); });
}
BENCHMARK(StartContainer)->Iterations(300)->UseManualTime()->Unit(benchmark::kMicrosecond);

void StartExec(benchmark::State& state) {
  TestNode node;
  PodSetup pod = node.NewPod();
  node.CreatePod(pod);
  ContainerSetup setup = node.NewContainer(pod, {"sleep", "1000"});
  node.Run(setup);
  std::unique_ptr<Exec> exec;
  Measure(
      state, [] {},
      [&]() -> Status {
        ExecRequest request;
        request.container_id = setup.container_id;
        request.args = {"true"};
        ASSIGN_OR_RETURN(exec, node.runtime().StartExec(Context(), std::move(request)));
        return absl::OkStatus();
      },
      [&] { exec->Wait(Context()).status().IgnoreError(); });
}
BENCHMARK(StartExec)->Iterations(1000)->UseManualTime()->Unit(benchmark::kMicrosecond);

void CreatePod(benchmark::State& state) {
  TestNode node;
  PodSetup pod;
  Measure(
      state, [&] { pod = node.NewPod(); },
      [&] { return node.runtime().CreatePod(Context(), pod).status(); },
      [&] { node.runtime().DestroyPod(pod.pod_id, node.cgroup_parent()).IgnoreError(); });
}
BENCHMARK(CreatePod)->Iterations(200)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace berth::runtime

BENCHMARK_MAIN();
