// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "cri/metric_table.h"
#include "cri/metrics.h"
#include "cri/translate_stats.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using ::testing::ElementsAre;

sandbox::PodStats SomeStats() {
  CgroupUsage usage;
  usage.time_ns = 5'000'000'000;
  usage.cpu = CpuUsage{.total_ns = 3'500'000'000, .user_ns = 2'000'000'000};
  usage.cpu->pressure = Pressure{.some = {.avg10 = 1.5, .total_ns = 2'000'000'000}};
  usage.memory = MemoryUsage{
      .usage = 100, .working_set = 90, .rss = 80, .page_faults = 7, .major_page_faults = 3};
  usage.memory->limit = 120;
  usage.memory->swap = 5;
  usage.memory->swap_limit = 20;
  usage.memory->pressure = Pressure{.full = {.total_ns = 9}};
  usage.io_pressure = Pressure{.some = {.avg300 = 2.5}};
  usage.memory->max_usage = 110;
  usage.tasks = 4;
  usage.max_tasks = 50;
  usage.block_io = {{8, 1, 11, 12, 13, 14}};
  usage.hugepages = {{"2MB", 21, 22}};
  sandbox::ContainerStats container;
  container.container.id = "c1";
  container.container.config.metadata = sandbox::ContainerMetadata{"main", 0};
  container.container.config.labels = {{"l", "v"}};
  container.container.image_name = "registry.test/image:1";
  container.container.started_at_ns = 4'000'000'000;
  container.container.resources.cpu_quota = -1;
  container.container.resources.memory_limit_in_bytes = 120;
  container.usage = usage;
  container.nano_cores = 123;
  container.writable_layer = DiskUsage{.bytes = 31, .inodes = 32, .time_ns = 33};
  container.processes = ProcessUsage{.processes = 2, .open_files = 9, .sockets = 1};
  container.processes->soft_limits = {{"max_open_files", 1024}};
  sandbox::PodStats pod;
  pod.pod.id = "p1";
  pod.pod.config.metadata = sandbox::PodMetadata{"web", "", "default", 0};
  pod.usage = usage;
  pod.network = InterfaceUsage{.name = "eth0", .rx_bytes = 41, .tx_packets = 42};
  pod.network_time_ns = 6;
  pod.containers = {container};
  return pod;
}

TEST(Stats, AContainerTellsAll) {
  v1::ContainerStats stats;
  ToContainerStats(SomeStats().containers[0], "/storage", &stats);
  EXPECT_EQ(stats.attributes().id(), "c1");
  EXPECT_EQ(stats.attributes().metadata().name(), "main");
  EXPECT_EQ(stats.attributes().labels().at("l"), "v");
  EXPECT_EQ(stats.cpu().timestamp(), 5'000'000'000);
  EXPECT_EQ(stats.cpu().usage_core_nano_seconds().value(), 3'500'000'000u);
  EXPECT_EQ(stats.cpu().usage_nano_cores().value(), 123u);
  EXPECT_EQ(stats.cpu().psi().some().avg10(), 1.5);
  EXPECT_EQ(stats.memory().working_set_bytes().value(), 90u);
  EXPECT_EQ(stats.memory().available_bytes().value(), 30u);
  EXPECT_EQ(stats.memory().usage_bytes().value(), 100u);
  EXPECT_EQ(stats.memory().rss_bytes().value(), 80u);
  EXPECT_EQ(stats.memory().page_faults().value(), 7u);
  EXPECT_EQ(stats.memory().major_page_faults().value(), 3u);
  EXPECT_EQ(stats.memory().timestamp(), 5'000'000'000);
  EXPECT_EQ(stats.memory().psi().full().total(), 9u);
  EXPECT_EQ(stats.writable_layer().inodes_used().value(), 32u);
  EXPECT_EQ(stats.writable_layer().fs_id().mountpoint(), "/storage");
  EXPECT_EQ(stats.writable_layer().used_bytes().value(), 31u);
  EXPECT_EQ(stats.writable_layer().timestamp(), 33);
  EXPECT_EQ(stats.io().timestamp(), 5'000'000'000);
  EXPECT_EQ(stats.io().psi().some().avg300(), 2.5);
  EXPECT_EQ(stats.swap().timestamp(), 5'000'000'000);
  EXPECT_EQ(stats.swap().swap_usage_bytes().value(), 5u);
  EXPECT_EQ(stats.swap().swap_available_bytes().value(), 15u);
  // What the machine does not tell is left out.
  sandbox::ContainerStats less = SomeStats().containers[0];
  less.usage->io_pressure.reset();
  less.usage->memory->swap_limit.reset();
  less.usage->memory->pressure.reset();
  stats.Clear();
  ToContainerStats(less, "/storage", &stats);
  EXPECT_FALSE(stats.has_io());
  EXPECT_FALSE(stats.swap().has_swap_available_bytes());
  EXPECT_FALSE(stats.memory().has_psi());
}

TEST(Stats, WhatDoesNotRunHasNoUsage) {
  sandbox::ContainerStats container = SomeStats().containers[0];
  container.usage.reset();
  container.nano_cores.reset();
  v1::ContainerStats stats;
  ToContainerStats(container, "/storage", &stats);
  EXPECT_TRUE(stats.has_attributes());
  EXPECT_TRUE(stats.has_writable_layer());
  EXPECT_FALSE(stats.has_cpu());
  EXPECT_FALSE(stats.has_memory());
}

TEST(Stats, WorkingSetBeyondTheLimitLeavesNothing) {
  sandbox::ContainerStats container = SomeStats().containers[0];
  container.usage->memory->working_set = 500;
  v1::ContainerStats stats;
  ToContainerStats(container, "", &stats);
  EXPECT_EQ(stats.memory().available_bytes().value(), 0u);
  container.usage->memory->limit.reset();
  stats.Clear();
  ToContainerStats(container, "", &stats);
  EXPECT_FALSE(stats.memory().has_available_bytes());
}

TEST(Stats, APodHasItsContainersAndItsNetwork) {
  v1::PodSandboxStats stats;
  ToPodStats(SomeStats(), "/storage", &stats);
  EXPECT_EQ(stats.attributes().metadata().namespace_(), "default");
  EXPECT_EQ(stats.linux().network().default_interface().name(), "eth0");
  EXPECT_EQ(stats.linux().network().default_interface().rx_bytes().value(), 41u);
  EXPECT_EQ(stats.linux().network().timestamp(), 6);
  EXPECT_EQ(stats.linux().process().process_count().value(), 4u);
  ASSERT_EQ(stats.linux().containers_size(), 1);
  EXPECT_EQ(stats.linux().containers(0).attributes().id(), "c1");
}

TEST(Metrics, EveryRowFitsItsDescriptor) {
  v1::ListMetricDescriptorsResponse described;
  ToMetricDescriptors(&described);
  EXPECT_EQ(described.descriptors_size(), 56);
  std::map<std::string, const v1::MetricDescriptor*> by_name;
  for (const v1::MetricDescriptor& descriptor : described.descriptors()) {
    EXPECT_FALSE(descriptor.help().empty()) << descriptor.name();
    EXPECT_TRUE(by_name.emplace(descriptor.name(), &descriptor).second) << descriptor.name();
  }
  v1::PodSandboxMetrics metrics;
  ToPodMetrics(SomeStats(), "/", &metrics);
  std::set<std::string> told;
  auto check = [&](const v1::Metric& metric) {
    ASSERT_TRUE(by_name.contains(metric.name())) << metric.name();
    EXPECT_EQ(metric.label_values_size(), by_name[metric.name()]->label_keys_size())
        << metric.name();
    EXPECT_GT(metric.timestamp(), 0);
    told.insert(metric.name());
  };
  for (const v1::Metric& metric : metrics.metrics()) check(metric);
  ASSERT_EQ(metrics.container_metrics_size(), 1);
  EXPECT_EQ(metrics.container_metrics(0).container_id(), "c1");
  for (const v1::Metric& metric : metrics.container_metrics(0).metrics()) check(metric);
  // All but the one that this example has nothing for: a quota.
  EXPECT_EQ(told.size(), 56u - 1u);
}

TEST(Metrics, LabelsNameWhatIsCounted) {
  v1::PodSandboxMetrics metrics;
  ToPodMetrics(SomeStats(), "/", &metrics);
  auto find = [](const auto& list, const std::string& name) -> const v1::Metric* {
    for (const v1::Metric& metric : list) {
      if (metric.name() == name) return &metric;
    }
    return nullptr;
  };
  const v1::Metric* cpu =
      find(metrics.container_metrics(0).metrics(), "container_cpu_usage_seconds_total");
  ASSERT_NE(cpu, nullptr);
  EXPECT_THAT(cpu->label_values(),
              ElementsAre("main", "web", "default", "c1", "registry.test/image:1", "total"));
  EXPECT_EQ(cpu->value().value(), 3u);
  EXPECT_EQ(cpu->metric_type(), v1::COUNTER);
  const v1::Metric* received = find(metrics.metrics(), "container_network_receive_bytes_total");
  ASSERT_NE(received, nullptr);
  EXPECT_THAT(received->label_values(), ElementsAre("POD", "web", "default", "p1", "", "eth0"));
  EXPECT_EQ(find(metrics.container_metrics(0).metrics(), "container_network_receive_bytes_total"),
            nullptr);
}

}  // namespace
}  // namespace berth::cri
