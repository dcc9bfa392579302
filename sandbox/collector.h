// SPDX-License-Identifier: Apache-2.0
// Gathers what stats.h tells, from records, runtime, network and images. One thread notes CPU times
// every ten seconds, another measures writable layers: no request waits for either.
#pragma once

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "images/images.h"
#include "network/network.h"
#include "runtime/runtime.h"
#include "sandbox/stats.h"
#include "sandbox/store.h"
#include "sandbox/usage_history.h"

namespace berth::sandbox {

class Collector : public Statistics {
 public:
  struct Sources {
    const Store* store = nullptr;
    images::ImageService* images = nullptr;
    network::Network* network = nullptr;
    std::string filesystem = {};
    absl::Duration period = absl::Seconds(10);
  };
  // The sources outlive it.
  explicit Collector(Sources sources) : sources_(std::move(sources)) {}
  ~Collector() override { Stop(); }

  // Before everything else: starts the threads.
  void Start(runtime::Runtime* runtime);
  // Before the runtime ends. Idempotent; the destructor does it.
  void Stop();

  StatusOr<ContainerStats> GetContainerStats(const std::string& id) override;
  StatusOr<PodStats> GetPodStats(const std::string& id) override;
  std::vector<ContainerStats> ListContainerStats(const ContainerFilter& filter) override;
  std::vector<PodStats> ListPodStats(const PodFilter& filter, UsageDetail detail) override;
  std::vector<std::string> EncodeContainerStats(
      const ContainerFilter& filter,
      const std::function<std::string(const ContainerStats&)>& encode) override;
  std::vector<std::string> EncodePodStats(
      const PodFilter& filter, UsageDetail detail,
      const std::function<std::string(const PodStats&)>& encode) override;
  std::string filesystem() const override { return sources_.filesystem; }

 private:
  ContainerStats StatsOf(const ContainerRecord& record, UsageDetail detail);
  PodStats StatsOf(const PodRecord& record, UsageDetail detail);
  // Of these pods, by ID; those of the node's network have none.
  using NetworkUsage = std::map<std::string, InterfaceUsage>;
  NetworkUsage ReadNetwork(const std::vector<Store::Pod>& records, UsageDetail detail);
  PodStats WithNetwork(PodStats pod, const NetworkUsage& network, int64_t time_ns);
  void SampleForever();
  void MeasureForever();
  void Sample();
  void Measure();
  // False: it is time to end.
  bool Pause(absl::Duration least);

  const Sources sources_;
  runtime::Runtime* runtime_ = nullptr;
  UsageHistory history_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, DiskUsage> layers_ ABSL_GUARDED_BY(mutex_);
  std::thread sampler_, measurer_;
};

}  // namespace berth::sandbox
