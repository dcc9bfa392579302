// SPDX-License-Identifier: Apache-2.0
#include "sandbox/describe.h"

namespace berth::sandbox {

PodStatus Describe(const PodRecord& record) {
  PodStatus out;
  out.id = record.id;
  out.config = record.config;
  out.state = record.state;
  out.created_at_ns = record.created_at_ns;
  if (record.lease.has_value()) out.ips = record.lease->addresses;
  out.runtime_handler = record.handler;
  return out;
}

ContainerStatus Summarize(const ContainerRecord& record) {
  ContainerStatus out = Identify(record);
  out.config.image = record.config.image;
  out.state = record.state;
  out.finished_at_ns = record.finished_at_ns;
  out.exit_code = record.exit_code;
  out.reason = record.reason;
  out.message = record.message;
  out.image_ref = record.image_ref;
  out.image_id = record.image_id;
  return out;
}

ContainerStatus Describe(const ContainerRecord& record) {
  ContainerStatus out = Summarize(record);
  out.config = record.config;
  out.log_path = record.log_path;
  out.resources = record.resources;
  out.user = record.user;
  out.stop_signal = record.stop_signal;
  return out;
}

PodStatus Identify(const PodRecord& record) {
  PodStatus out;
  out.id = record.id;
  out.config.metadata = record.config.metadata;
  out.config.labels = record.config.labels;
  out.config.annotations = record.config.annotations;
  out.created_at_ns = record.created_at_ns;
  return out;
}

ContainerStatus Identify(const ContainerRecord& record) {
  ContainerStatus out;
  out.id = record.id;
  out.pod_id = record.pod_id;
  out.config.metadata = record.config.metadata;
  out.config.labels = record.config.labels;
  out.config.annotations = record.config.annotations;
  out.created_at_ns = record.created_at_ns;
  out.started_at_ns = record.started_at_ns;
  out.image_name = record.image_name;
  return out;
}

}  // namespace berth::sandbox
