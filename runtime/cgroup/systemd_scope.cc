// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/systemd_scope.h"

#include <systemd/sd-bus.h>

#include <cerrno>
#include <memory>

#include "absl/time/clock.h"

namespace berth::runtime {
namespace {

constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kObject[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr absl::Duration kJobTimeout = absl::Seconds(30);

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
struct MessageCloser {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
struct SlotCloser {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Bus = std::unique_ptr<sd_bus, BusCloser>;
using Message = std::unique_ptr<sd_bus_message, MessageCloser>;
using Slot = std::unique_ptr<sd_bus_slot, SlotCloser>;

// The error of one call.
struct BusError {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  ~BusError() { sd_bus_error_free(&error); }
  bool Is(const char* name) const { return sd_bus_error_has_name(&error, name) > 0; }
  Status ToStatus(int rc, const std::string& what) const {
    if (Is("org.freedesktop.systemd1.NoSuchUnit")) {
      return absl::NotFoundError(absl::StrCat(what, ": no such unit"));
    }
    if (Is("org.freedesktop.systemd1.UnitExists")) {
      return absl::AlreadyExistsError(absl::StrCat(what, ": unit exists"));
    }
    if (error.message != nullptr)
      return absl::InternalError(absl::StrCat(what, ": ", error.message));
    return ErrnoError(-rc, what);
  }
};

StatusOr<Bus> Connect() {
  sd_bus* raw = nullptr;
  int rc = sd_bus_open_system(&raw);
  Bus bus(raw);
  if (rc < 0) return ErrnoError(-rc, "connect to the system bus");
  return bus;
}

int Append(sd_bus_message* message, const UnitProperty& property) {
  const char* name = property.name.c_str();
  if (const auto* number = std::get_if<uint64_t>(&property.value)) {
    return sd_bus_message_append(message, "(sv)", name, "t", *number);
  }
  if (const auto* flag = std::get_if<bool>(&property.value)) {
    return sd_bus_message_append(message, "(sv)", name, "b", *flag ? 1 : 0);
  }
  if (const auto* text = std::get_if<std::string>(&property.value)) {
    return sd_bus_message_append(message, "(sv)", name, "s", text->c_str());
  }
  const auto& bytes = std::get<std::vector<uint8_t>>(property.value);
  int rc = sd_bus_message_open_container(message, SD_BUS_TYPE_STRUCT, "sv");
  if (rc >= 0) rc = sd_bus_message_append(message, "s", name);
  if (rc >= 0) rc = sd_bus_message_open_container(message, SD_BUS_TYPE_VARIANT, "ay");
  if (rc >= 0) rc = sd_bus_message_append_array(message, 'y', bytes.data(), bytes.size());
  if (rc >= 0) rc = sd_bus_message_close_container(message);
  if (rc >= 0) rc = sd_bus_message_close_container(message);
  return rc;
}

int AppendAll(sd_bus_message* message, const std::vector<UnitProperty>& properties, pid_t pid) {
  int rc = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "(sv)");
  for (size_t i = 0; rc >= 0 && i < properties.size(); ++i) rc = Append(message, properties[i]);
  if (rc >= 0 && pid > 0) {
    rc = sd_bus_message_append(message, "(sv)", "PIDs", "au", 1, static_cast<uint32_t>(pid));
  }
  if (rc >= 0) rc = sd_bus_message_close_container(message);
  return rc;
}

StatusOr<Message> NewCall(sd_bus* bus, const char* method) {
  sd_bus_message* raw = nullptr;
  int rc = sd_bus_message_new_method_call(bus, &raw, kService, kObject, kManager, method);
  if (rc < 0) return ErrnoError(-rc, absl::StrCat("make a call of ", method));
  return Message(raw);
}

// Collects the ends of jobs. Subscribed before the job starts, so that none is missed.
struct JobWatch {
  std::vector<std::pair<std::string, std::string>> done;  // path, result

  static int OnRemoved(sd_bus_message* message, void* data, sd_bus_error*) {
    uint32_t id = 0;
    const char* path = nullptr;
    const char* unit = nullptr;
    const char* result = nullptr;
    if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0) {
      static_cast<JobWatch*>(data)->done.emplace_back(path, result);
    }
    return 0;
  }
};

Status WaitForJob(sd_bus* bus, const JobWatch& watch, const std::string& job,
                  const std::string& what) {
  const absl::Time deadline = absl::Now() + kJobTimeout;
  for (;;) {
    for (const auto& [path, result] : watch.done) {
      if (path != job) continue;
      if (result == "done") return absl::OkStatus();
      return absl::InternalError(absl::StrCat(what, ": job ended as ", result));
    }
    int rc = sd_bus_process(bus, nullptr);
    if (rc < 0) return ErrnoError(-rc, what);
    if (rc > 0) continue;
    int64_t left = absl::ToInt64Microseconds(deadline - absl::Now());
    if (left <= 0) return absl::DeadlineExceededError(absl::StrCat(what, ": job did not end"));
    rc = sd_bus_wait(bus, static_cast<uint64_t>(left));
    if (rc < 0 && rc != -EINTR) return ErrnoError(-rc, what);
  }
}

// Sends a call that starts a job and waits for its end.
Status RunJob(sd_bus* bus, sd_bus_message* call, const JobWatch& watch, const std::string& what) {
  BusError error;
  sd_bus_message* raw = nullptr;
  int rc = sd_bus_call(bus, call, 0, &error.error, &raw);
  Message reply(raw);
  if (rc < 0) return error.ToStatus(rc, what);
  const char* job = nullptr;
  rc = sd_bus_message_read(reply.get(), "o", &job);
  if (rc < 0) return ErrnoError(-rc, what);
  return WaitForJob(bus, watch, job, what);
}

StatusOr<Slot> Watch(sd_bus* bus, JobWatch* watch) {
  sd_bus_slot* raw = nullptr;
  int rc = sd_bus_match_signal(bus, &raw, kService, kObject, kManager, "JobRemoved",
                               JobWatch::OnRemoved, watch);
  Slot slot(raw);
  if (rc < 0) return ErrnoError(-rc, "watch systemd jobs");
  // Without a subscriber systemd sends no signals.
  BusError error;
  rc = sd_bus_call_method(bus, kService, kObject, kManager, "Subscribe", &error.error, nullptr,
                          nullptr);
  if (rc < 0) return error.ToStatus(rc, "subscribe to systemd");
  return slot;
}

}  // namespace

Status StartScope(const std::string& scope, const std::string& slice, pid_t pid,
                  const std::vector<UnitProperty>& properties) {
  const std::string what = absl::StrCat("start ", scope);
  ASSIGN_OR_RETURN(Bus bus, Connect());
  JobWatch watch;
  ASSIGN_OR_RETURN(Slot slot, Watch(bus.get(), &watch));
  std::vector<UnitProperty> all = {
      {"Description", absl::StrCat("berth container ", scope)},
      {"Slice", slice},
      {"Delegate", true},
      {"DefaultDependencies", false},
      // A failed scope would keep its name.
      {"CollectMode", std::string("inactive-or-failed")},
      {"MemoryAccounting", true},
      {"CPUAccounting", true},
      {"TasksAccounting", true},
      {"IOAccounting", true},
  };
  all.insert(all.end(), properties.begin(), properties.end());
  ASSIGN_OR_RETURN(Message call, NewCall(bus.get(), "StartTransientUnit"));
  int rc = sd_bus_message_append(call.get(), "ss", scope.c_str(), "fail");
  if (rc >= 0) rc = AppendAll(call.get(), all, pid);
  if (rc >= 0) rc = sd_bus_message_append(call.get(), "a(sa(sv))", 0);
  if (rc < 0) return ErrnoError(-rc, what);
  return RunJob(bus.get(), call.get(), watch, what);
}

Status SetScopeProperties(const std::string& scope, const std::vector<UnitProperty>& properties) {
  if (properties.empty()) return absl::OkStatus();
  const std::string what = absl::StrCat("set properties of ", scope);
  ASSIGN_OR_RETURN(Bus bus, Connect());
  ASSIGN_OR_RETURN(Message call, NewCall(bus.get(), "SetUnitProperties"));
  int rc = sd_bus_message_append(call.get(), "sb", scope.c_str(), 1);
  if (rc >= 0) rc = AppendAll(call.get(), properties, 0);
  if (rc < 0) return ErrnoError(-rc, what);
  BusError error;
  rc = sd_bus_call(bus.get(), call.get(), 0, &error.error, nullptr);
  return rc < 0 ? error.ToStatus(rc, what) : absl::OkStatus();
}

Status StopScope(const std::string& scope) {
  const std::string what = absl::StrCat("stop ", scope);
  ASSIGN_OR_RETURN(Bus bus, Connect());
  JobWatch watch;
  ASSIGN_OR_RETURN(Slot slot, Watch(bus.get(), &watch));
  ASSIGN_OR_RETURN(Message call, NewCall(bus.get(), "StopUnit"));
  int rc = sd_bus_message_append(call.get(), "ss", scope.c_str(), "replace");
  if (rc < 0) return ErrnoError(-rc, what);
  Status stopped = RunJob(bus.get(), call.get(), watch, what);
  if (!stopped.ok() && !absl::IsNotFound(stopped)) return stopped;
  // Fails where it has not failed, or is gone already: both are what is wanted.
  BusError error;
  (void)sd_bus_call_method(bus.get(), kService, kObject, kManager, "ResetFailedUnit", &error.error,
                           nullptr, "s", scope.c_str());
  return absl::OkStatus();
}

}  // namespace berth::runtime
