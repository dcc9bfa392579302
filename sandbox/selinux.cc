// SPDX-License-Identifier: Apache-2.0
#include "sandbox/selinux.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"

namespace berth::sandbox {
namespace {

constexpr char kField[] = "config.linux.security_context.selinux_options";
constexpr char kSuperPrivileged[] = "spc_t";
constexpr size_t kMaxFile = 1 << 16;
constexpr size_t kMaxName = 128;
// The option of a mount is at most so long, and a context has three names beside its level.
constexpr size_t kMaxContext = 255;
// What policies with categories have.
constexpr uint32_t kCategories = 1024;

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

// Takes `letter` and a number off the front.
std::optional<uint32_t> TakeNumber(char letter, absl::string_view* text) {
  if (text->empty() || text->front() != letter) return std::nullopt;
  text->remove_prefix(1);
  uint32_t number = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return number;
}

// "s0:c1,c3.c5": its categories as ranges; none if it is not of that form.
std::optional<std::vector<std::pair<uint32_t, uint32_t>>> Categories(absl::string_view level) {
  std::vector<std::pair<uint32_t, uint32_t>> out;
  if (!TakeNumber('s', &level).has_value()) return std::nullopt;
  if (level.empty()) return out;
  if (!absl::ConsumePrefix(&level, ":")) return std::nullopt;
  do {
    std::optional<uint32_t> first = TakeNumber('c', &level);
    if (!first.has_value()) return std::nullopt;
    std::optional<uint32_t> last = first;
    if (absl::ConsumePrefix(&level, ".")) last = TakeNumber('c', &level);
    if (!last.has_value() || *last < *first) return std::nullopt;
    out.emplace_back(*first, *last);
  } while (absl::ConsumePrefix(&level, ","));
  if (!level.empty()) return std::nullopt;
  return out;
}

// A level, or two of them with "-" between.
bool IsLevel(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!Categories(ends.first).has_value()) return false;
  return !absl::StrContains(text, '-') || Categories(ends.second).has_value();
}

// The two categories of a level that has just two.
std::optional<std::pair<uint32_t, uint32_t>> PairOf(absl::string_view level) {
  auto ranges = Categories(level);
  if (!ranges.has_value() || ranges->empty() || ranges->size() > 2) return std::nullopt;
  uint32_t first = ranges->front().first;
  uint32_t last = ranges->back().second;
  if (ranges->size() == 1) {
    if (last != first + 1) return std::nullopt;
  } else if (ranges->front().second != first || ranges->back().first != last) {
    return std::nullopt;
  }
  return std::pair(std::min(first, last), std::max(first, last));
}

StatusOr<std::string> FreeLevel(absl::string_view sensitivity,
                                const std::vector<std::string>& others) {
  std::set<std::pair<uint32_t, uint32_t>> taken;
  for (const std::string& other : others) {
    StatusOr<SelinuxContext> context = ParseSelinuxContext(other);
    if (!context.ok()) continue;
    if (auto pair = PairOf(context->level); pair.has_value()) taken.insert(*pair);
  }
  uint32_t at = 0;
  sys::FillRandom(&at, sizeof at);
  for (uint32_t i = 0; i < kCategories * kCategories; ++i, ++at) {
    const uint32_t first = at / kCategories % kCategories;
    const uint32_t second = at % kCategories;
    if (first >= second || taken.contains({first, second})) continue;
    return absl::StrCat(sensitivity, ":c", first, ",c", second);
  }
  return absl::ResourceExhaustedError("SELinux: every pair of categories is taken by a pod");
}

std::string Sensitivity(absl::string_view level) {
  return std::string(level.substr(0, level.find_first_of(":-")));
}

bool IsEmpty(const std::optional<SelinuxOptions>& options) {
  return !options.has_value() || (options->user.empty() && options->role.empty() &&
                                  options->type.empty() && options->level.empty());
}

// The value of `key` in lines of the form KEY = "VALUE"; empty: not there.
std::string ValueOf(const std::string& text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, key)) continue;
    line = absl::StripAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "=")) continue;
    line = absl::StripAsciiWhitespace(line);
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') {
      line = line.substr(1, line.size() - 2);
    }
    return std::string(line);
  }
  return "";
}

// The first of these files that exists; empty: none.
StatusOr<std::string> FindContexts(const SelinuxNode& node) {
  if (access(node.containers.c_str(), R_OK) == 0) return node.containers;
  StatusOr<std::string> config = ReadFile(node.etc + "/config", kMaxFile);
  if (!config.ok() && !absl::IsNotFound(config.status())) return config.status();
  std::string type = config.ok() ? ValueOf(*config, "SELINUXTYPE") : "";
  if (type.empty()) type = "targeted";
  if (!IsName(type)) {
    return absl::FailedPreconditionError(
        absl::StrCat(node.etc, "/config: SELINUXTYPE is no name of a policy"));
  }
  std::string path = absl::StrCat(node.etc, "/", type, "/contexts/lxc_contexts");
  return access(path.c_str(), R_OK) == 0 ? path : std::string();
}

StatusOr<SelinuxContext> ContextIn(const std::string& text, absl::string_view key,
                                   const std::string& path) {
  StatusOr<SelinuxContext> context = ParseSelinuxContext(ValueOf(text, key));
  if (context.ok()) return context;
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": ", key, ": ", context.status().message()));
}

Status NotKnown(absl::string_view field, const std::string& value) {
  return absl::InvalidArgumentError(absl::StrCat(kField, field.empty() ? "" : ".", field,
                                                 ": the policy does not know \"", value, "\""));
}

}  // namespace

std::string SelinuxContext::ToString() const {
  return absl::StrCat(user, ":", role, ":", type, level.empty() ? "" : ":", level);
}

StatusOr<SelinuxContext> ParseSelinuxContext(const std::string& text) {
  // The level has colons of its own.
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 3));
  if (parts.size() < 3 || !IsName(parts[0]) || !IsName(parts[1]) || !IsName(parts[2]) ||
      (parts.size() == 4 && !IsLevel(parts[3]))) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text.substr(0, kMaxContext), "\" is not an SELinux context"));
  }
  return SelinuxContext{parts[0], parts[1], parts[2], parts.size() == 4 ? parts[3] : ""};
}

Status CheckSelinuxOptions(const std::optional<SelinuxOptions>& options) {
  if (!options.has_value()) return absl::OkStatus();
  auto bad = [](const char* field, const std::string& value, const char* why) {
    return absl::InvalidArgumentError(
        absl::StrCat(kField, ".", field, ": \"", value.substr(0, kMaxName), "\" ", why));
  };
  for (auto [value, field] : {std::pair(&options->user, "user"), std::pair(&options->role, "role"),
                              std::pair(&options->type, "type")}) {
    if (!value->empty() && !IsName(*value)) return bad(field, *value, "is no SELinux name");
  }
  if (options->level.size() > kMaxName) return bad("level", options->level, "... is too long");
  if (!options->level.empty() && !IsLevel(options->level)) {
    return bad("level", options->level, "is not of the form s0:c1,c2");
  }
  return absl::OkStatus();
}

StatusOr<Selinux> Selinux::Load(const SelinuxNode& node) {
  Selinux out;
  out.fs_ = node.fs;
  if (!node.enabled || access((node.fs + "/context").c_str(), F_OK) != 0) return out;
  ASSIGN_OR_RETURN(std::string path, FindContexts(node));
  if (path.empty()) {
    log::Warning(
        "SELinux: the policy has no contexts for containers, which are not confined by it");
    return out;
  }
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxFile));
  ASSIGN_OR_RETURN(out.process_, ContextIn(text, "process", path));
  ASSIGN_OR_RETURN(out.file_, ContextIn(text, "file", path));
  for (const SelinuxContext* context : {&out.process_, &out.file_}) {
    ASSIGN_OR_RETURN(bool known, out.Knows(*context));
    if (known) continue;
    // As Debian has it: the file comes with the policy, the types with something else.
    log::Warning("SELinux: the policy does not know \"", context->ToString(), "\", which ", path,
                 " names for containers; they are not confined by it");
    return out;
  }
  out.on_ = true;
  return out;
}

StatusOr<bool> Selinux::Knows(const SelinuxContext& context) const {
  const std::string text = context.ToString();
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(fs_ + "/context", O_WRONLY));
  // With its NUL, as libselinux does.
  if (write(fd.get(), text.c_str(), text.size() + 1) >= 0) return true;
  if (errno == EINVAL) return false;
  int error = errno;
  return ErrnoError(error, absl::StrCat("ask the SELinux policy for ", text));
}

Status Selinux::CheckKnown(const SelinuxContext& wanted, const SelinuxContext& standard,
                           const SelinuxOptions& options) const {
  const std::string text = wanted.ToString();
  if (text.size() > kMaxContext) {
    return absl::InvalidArgumentError(
        absl::StrCat(kField, ": a context of more than ", kMaxContext, " bytes"));
  }
  ASSIGN_OR_RETURN(bool known, Knows(wanted));
  if (known) return absl::OkStatus();
  // Which of them is it?
  for (auto [member, value, field] :
       {std::tuple(&SelinuxContext::user, &options.user, "user"),
        std::tuple(&SelinuxContext::role, &options.role, "role"),
        std::tuple(&SelinuxContext::type, &options.type, "type"),
        std::tuple(&SelinuxContext::level, &options.level, "level")}) {
    if (value->empty()) continue;
    SelinuxContext alone = standard;
    alone.*member = *value;
    ASSIGN_OR_RETURN(known, Knows(alone));
    if (!known) return NotKnown(field, *value);
  }
  if (!IsEmpty(options)) return NotKnown("", text);
  return absl::FailedPreconditionError(
      absl::StrCat("SELinux: the policy does not know its own context \"", text, "\""));
}

StatusOr<LabelsRecord> Selinux::Apply(const std::optional<SelinuxOptions>& options,
                                      const std::string& level) const {
  const SelinuxOptions asked = options.value_or(SelinuxOptions());
  SelinuxContext process = process_;
  SelinuxContext file = file_;
  // Roles and types of processes are not those of files.
  if (!asked.user.empty()) process.user = file.user = asked.user;
  if (!asked.role.empty()) process.role = asked.role;
  if (!asked.type.empty()) process.type = asked.type;
  process.level = file.level = level;
  RETURN_IF_ERROR(CheckKnown(process, process_, asked));
  SelinuxOptions of_files;
  of_files.user = asked.user;
  of_files.level = asked.level;
  RETURN_IF_ERROR(CheckKnown(file, file_, of_files));
  return LabelsRecord{process.ToString(), file.ToString()};
}

StatusOr<LabelsRecord> Selinux::LabelsOfPod(const PodConfig& pod,
                                            const std::vector<std::string>& others) const {
  const std::optional<SelinuxOptions>& options = pod.security.selinux;
  std::string level = options.has_value() ? options->level : "";
  // A policy without levels has none in its own contexts.
  if (level.empty() && !process_.level.empty()) {
    ASSIGN_OR_RETURN(level, FreeLevel(Sensitivity(process_.level), others));
  }
  return Apply(options, level);
}

StatusOr<LabelsRecord> Selinux::LabelsOfContainer(const ContainerSecurity& security,
                                                  const LabelsRecord& pod) const {
  if (security.privileged) {
    SelinuxContext context = process_;
    context.type = kSuperPrivileged;
    context.level = Sensitivity(context.level);
    ASSIGN_OR_RETURN(bool known, Knows(context));
    return LabelsRecord{known ? context.ToString() : "", pod.mount};
  }
  if (IsEmpty(security.selinux)) return pod;
  ASSIGN_OR_RETURN(SelinuxContext of_pod, ParseSelinuxContext(pod.process));
  return Apply(security.selinux,
               security.selinux->level.empty() ? of_pod.level : security.selinux->level);
}

bool RelabelsFor(const std::string& process_label) {
  StatusOr<SelinuxContext> context = ParseSelinuxContext(process_label);
  return context.ok() && context->type != kSuperPrivileged;
}

}  // namespace berth::sandbox
