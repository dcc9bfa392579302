// SPDX-License-Identifier: Apache-2.0
// Latency of starts and execs through the Runtime, as sandbox/ sees it.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "runtime/runtime_test_node.h"

namespace berth::runtime {
namespace {

// From the call to the return, when the program runs. Creation and end are not counted.
void StartContainer(benchmark::State& state) {
  TestNode node;
  PodSetup pod = node.NewPod();
  node.CreatePod(pod);
  for (auto _ : state) {
    state.PauseTiming();
    ContainerSetup setup = node.NewContainer(pod, {"sleep", "1000"});
    setup.slot = 0;
    if (!node.runtime().CreateContainer(Context(), setup).ok()) state.SkipWithError("create");
    state.ResumeTiming();
    if (!node.runtime().StartContainer(Context(), setup.container_id).ok()) {
      state.SkipWithError("start");
    }
    state.PauseTiming();
    node.Delete(setup);
    state.ResumeTiming();
  }
}
BENCHMARK(StartContainer)->Unit(benchmark::kMicrosecond)->Iterations(200)->UseRealTime();

void CreateContainer(benchmark::State& state) {
  TestNode node;
  PodSetup pod = node.NewPod();
  node.CreatePod(pod);
  for (auto _ : state) {
    state.PauseTiming();
    ContainerSetup setup = node.NewContainer(pod, {"true"});
    setup.slot = 0;
    state.ResumeTiming();
    if (!node.runtime().CreateContainer(Context(), setup).ok()) state.SkipWithError("create");
    state.PauseTiming();
    node.Delete(setup);
    state.ResumeTiming();
  }
}
BENCHMARK(CreateContainer)->Unit(benchmark::kMicrosecond)->Iterations(200)->UseRealTime();

// From the call to the return, when the program runs.
void StartExec(benchmark::State& state) {
  TestNode node;
  PodSetup pod = node.NewPod();
  node.CreatePod(pod);
  ContainerSetup setup = node.NewContainer(pod, {"sleep", "1000"});
  node.Run(setup);
  for (auto _ : state) {
    ExecRequest request;
    request.container_id = setup.container_id;
    request.args = {"true"};
    auto exec = node.runtime().StartExec(Context(), std::move(request));
    if (!exec.ok()) {
      state.SkipWithError("exec");
      break;
    }
    state.PauseTiming();
    if (!(*exec)->Wait(Context()).ok()) state.SkipWithError("wait");
    state.ResumeTiming();
  }
}
BENCHMARK(StartExec)->Unit(benchmark::kMicrosecond)->Iterations(500)->UseRealTime();

void CreatePod(benchmark::State& state) {
  TestNode node;
  for (auto _ : state) {
    PodSetup pod = node.NewPod();
    if (!node.runtime().CreatePod(Context(), pod).ok()) state.SkipWithError("create");
    state.PauseTiming();
    if (!node.runtime().DestroyPod(pod.pod_id, node.cgroup_parent()).ok()) {
      state.SkipWithError("destroy");
    }
    state.ResumeTiming();
  }
}
BENCHMARK(CreatePod)->Unit(benchmark::kMicrosecond)->Iterations(200)->UseRealTime();

}  // namespace
}  // namespace berth::runtime

BENCHMARK_MAIN();
