# SPDX-License-Identifier: Apache-2.0
# A Runtime without processes, for the tests of the layers above.
berth_library(runtime_fake
  SOURCES fake.cc fake_control.cc
  HEADERS fake.h runtime.h
  DEPS berth::base)
berth_test(runtime_fake_test SOURCES fake_test.cc DEPS berth::runtime_fake)

berth_library(runtime
  SOURCES container_entry.cc container_sources.cc containers.cc exec_process.cc execs.cc
    exit_info.cc external_starts.cc log_file.cc netns_link.cc parked_fds.cc pod_table.cc pods.cc
    process_table.cc process_usage.cc resolve_process.cc runtime.cc starts.cc
  HEADERS container_entry.h container_sources.h exec_process.h exit_info.h log_file.h
    netns_link.h parked_fds.h pod_table.h process_table.h process_usage.h
    resolve_process.h runtime_impl.h
  DEPS berth::base berth::cgroup berth::external berth::mount berth::plan berth::security berth::spec
    berth::supervisor berth::wire)

berth_test(runtime_parts_test SOURCES runtime_parts_test.cc DEPS berth::runtime)
berth_test(runtime_test ROOT TIMEOUT 300
  SOURCES runtime_test.cc runtime_attach_test.cc runtime_attack_test.cc runtime_exec_test.cc
    runtime_external_test.cc runtime_pod_test.cc runtime_test_node.cc runtime_userns_test.cc
  DEPS berth::runtime)
if(TARGET benchmark::benchmark)
  add_executable(runtime_bench runtime_bench.cc runtime_test_node.cc)
  target_link_libraries(runtime_bench PRIVATE berth_flags berth::runtime GTest::gtest
    benchmark::benchmark)
endif()
