// SPDX-License-Identifier: Apache-2.0
#include "network/ranged.h"

#include <fcntl.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "network/config.h"

namespace berth::network {
namespace {

constexpr char kFile[] = "pod-ranges";
constexpr size_t kMaxFile = 4096;

// The ranges in one spelling.
StatusOr<BuiltinOptions> Normal(const BuiltinOptions& options) {
  ASSIGN_OR_RETURN(Config config, Config::Parse(options));
  BuiltinOptions out = options;
  out.subnet_v4 = config.v4().str();
  out.subnet_v6 = config.v6() ? config.v6()->str() : "";
  return out;
}

std::vector<std::string> RangesOf(const BuiltinOptions& options) {
  std::vector<std::string> out = {options.subnet_v4};
  if (!options.subnet_v6.empty()) out.push_back(options.subnet_v6);
  return out;
}

Status Keep(const BuiltinOptions& options) {
  if (options.memory_dir.empty()) return absl::OkStatus();
  UniqueFd dir(::open(options.memory_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir.ok()) return ErrnoError(errno, absl::StrCat("open ", options.memory_dir));
  return AtomicReplace(dir.get(), kFile, absl::StrJoin(RangesOf(options), "\n") + "\n", 0600,
                       /*durable=*/true);
}

// The options with the ranges that were told earlier, if there are any.
StatusOr<BuiltinOptions> Remembered(const BuiltinOptions& options) {
  if (options.memory_dir.empty() || options.fixed_ranges) return options;
  const std::string path = absl::StrCat(options.memory_dir, "/", kFile);
  StatusOr<std::string> text = ReadFile(path, kMaxFile);
  if (absl::IsNotFound(text.status())) return options;
  if (!text.ok()) return text.status();
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  StatusOr<BuiltinOptions> told = WithRanges(options, lines);
  if (!told.ok()) return Annotate(told.status(), path);
  return told;
}

}  // namespace

StatusOr<BuiltinOptions> WithRanges(const BuiltinOptions& options,
                                    const std::vector<std::string>& ranges) {
  BuiltinOptions out = options;
  out.subnet_v4.clear();
  out.subnet_v6.clear();
  for (const std::string& text : ranges) {
    ASSIGN_OR_RETURN(IpRange range, IpRange::Parse(text));
    std::string& slot = range.base().v6() ? out.subnet_v6 : out.subnet_v4;
    if (!slot.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("pod range ", text, ": beside ", slot, " of the same family"));
    }
    slot = range.str();
  }
  if (out.subnet_v4.empty()) {
    return absl::UnimplementedError(absl::StrCat("pod ranges \"", absl::StrJoin(ranges, ","),
                                                 "\": the network needs an IPv4 range"));
  }
  return Normal(out);
}

StatusOr<std::unique_ptr<Network>> Ranged::Create(const BuiltinOptions& options, Make make,
                                                  Check check) {
  ASSIGN_OR_RETURN(BuiltinOptions normal, Normal(options));
  ASSIGN_OR_RETURN(normal, Remembered(normal));
  std::unique_ptr<Ranged> network(new Ranged(normal, std::move(make), std::move(check)));
  StatusOr<std::unique_ptr<Network>> made = network->make_(normal);
  if (!made.ok()) return made.status();
  absl::MutexLock lock(&network->mutex_);
  network->current_ = *std::move(made);
  return std::unique_ptr<Network>(std::move(network));
}

std::shared_ptr<Network> Ranged::current() const {
  absl::MutexLock lock(&mutex_);
  return current_;
}

StatusOr<Lease> Ranged::Attach(const Context& context, const AttachRequest& request) {
  absl::ReaderMutexLock lock(&change_);
  return current()->Attach(context, request);
}

Status Ranged::Detach(const Context& context, const std::string& pod_id) {
  absl::ReaderMutexLock lock(&change_);
  return current()->Detach(context, pod_id);
}

Status Ranged::Recover(const std::vector<Lease>& leases) {
  absl::ReaderMutexLock lock(&change_);
  return current()->Recover(leases);
}

StatusOr<std::map<std::string, InterfaceUsage>> Ranged::ReadUsage(
    const std::vector<std::string>& pod_ids, UsageDetail detail) {
  return current()->ReadUsage(pod_ids, detail);
}

NetworkStatus Ranged::GetStatus() const { return current()->GetStatus(); }

Status Ranged::TearDown() {
  absl::WriterMutexLock lock(&change_);
  return current()->TearDown();
}

Status Ranged::SetRanges(const std::vector<std::string>& ranges) {
  absl::WriterMutexLock lock(&change_);
  ASSIGN_OR_RETURN(BuiltinOptions wanted, WithRanges(options_, ranges));
  const std::string told = absl::StrJoin(RangesOf(wanted), ",");
  if (RangesOf(wanted) == RangesOf(options_)) {
    // Equal to the default, it must still not change when the default does.
    return options_.fixed_ranges ? absl::OkStatus() : Keep(wanted);
  }
  if (options_.fixed_ranges) {
    return absl::FailedPreconditionError(absl::StrCat("pod ranges ", told,
                                                      ": the configuration fixes them to ",
                                                      absl::StrJoin(RangesOf(options_), ",")));
  }
  RETURN_IF_ERROR(Annotate(check_(wanted), absl::StrCat("pod ranges ", told)));
  RETURN_IF_ERROR(Annotate(Change(wanted), absl::StrCat("pod ranges ", told)));
  log::Info("pods get addresses of ", told, " from now on");
  return absl::OkStatus();
}

Status Ranged::Change(const BuiltinOptions& wanted) {
  // Refuses while pods are attached.
  RETURN_IF_ERROR(current()->TearDown());
  StatusOr<std::unique_ptr<Network>> made = make_(wanted);
  Status status = made.ok() ? (*made)->Recover({}) : made.status();
  if (status.ok()) status = Keep(wanted);
  if (status.ok()) {
    options_ = wanted;
  } else {
    if (made.ok()) (*made)->TearDown().IgnoreError();
    made = make_(options_);
    if (made.ok()) status.Update((*made)->Recover({}));
  }
  // If even the old one cannot be made again, the one torn down says that there is no network.
  if (!made.ok()) return status;
  std::shared_ptr<Network> replaced = *std::move(made);
  absl::MutexLock lock(&mutex_);
  current_.swap(replaced);
  return status;
}

}  // namespace berth::network
