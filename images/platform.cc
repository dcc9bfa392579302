// SPDX-License-Identifier: Apache-2.0
#include "images/platform.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_join.h"

namespace berth::images {
namespace {

// "v3" -> 3; nullopt for what is no such variant.
std::optional<int> Level(std::string_view variant) {
  if (variant.size() != 2 || variant[0] != 'v' || variant[1] < '1' || variant[1] > '9') {
    return std::nullopt;
  }
  return variant[1] - '0';
}

// What an entry without a variant means, for the architectures that have them.
int BaseLevel(std::string_view architecture) {
  if (architecture == "amd64") return 1;
  if (architecture == "arm64") return 8;
  return 0;
}

// Higher fits better; nullopt does not run here.
std::optional<int> Fitness(const Platform& offered, const Platform& host) {
  if (offered.os != host.os || offered.architecture != host.architecture) return std::nullopt;
  int base = BaseLevel(host.architecture);
  if (base == 0) {
    return offered.variant == host.variant ? std::optional<int>(0) : std::nullopt;
  }
  int own = Level(host.variant).value_or(base);
  if (offered.variant.empty()) return base;
  std::optional<int> level = Level(offered.variant);
  if (!level || *level < base || *level > own) return std::nullopt;
  return level;
}

bool IsAttestation(const Platform& platform) {
  return platform.os == "unknown" && platform.architecture == "unknown";
}

// Never kChosen: that takes a comparison.
Fit FitOf(const Descriptor& entry, const Platform& host) {
  const std::optional<Platform>& platform = entry.platform;
  if (!platform || (platform->os.empty() && platform->architecture.empty())) return Fit::kUnnamed;
  if (IsAttestation(*platform)) return Fit::kNoImage;
  if (Fitness(*platform, host)) return Fit::kRuns;
  const bool same = platform->os == host.os && platform->architecture == host.architecture;
  return same ? Fit::kTooHigh : Fit::kOther;
}

#if defined(__x86_64__)
std::string CpuVariant() {
  __builtin_cpu_init();
  bool v2 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
            __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  bool v3 = v2 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("avx2") &&
            __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
            __builtin_cpu_supports("fma");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  return v4 ? "v4" : v3 ? "v3" : v2 ? "v2" : "v1";
}
#endif

}  // namespace

Platform HostPlatform() {
#if defined(__x86_64__)
  return {.os = "linux", .architecture = "amd64", .variant = CpuVariant()};
#elif defined(__aarch64__)
  return {.os = "linux", .architecture = "arm64", .variant = "v8"};
#else
#error "berth runs on amd64 and arm64"
#endif
}

std::string Shown(const Platform& platform) {
  std::string text = ToString(platform).substr(0, 64);
  for (char& c : text) {
    if (c < 0x20 || c >= 0x7f) c = '?';
  }
  return text;
}

std::string_view ToString(Fit fit) {
  switch (fit) {
    case Fit::kChosen:
      return "chosen";
    case Fit::kRuns:
      return "would run, but another fits better";
    case Fit::kOther:
      return "another system";
    case Fit::kTooHigh:
      return "a higher variant than this machine's";
    case Fit::kUnnamed:
      return "names no platform";
    case Fit::kNoImage:
      break;
  }
  return "no image";
}

std::vector<Fit> JudgePlatforms(const Index& index, const Platform& host) {
  std::vector<Fit> fits;
  std::optional<size_t> best;
  std::optional<int> best_fitness;
  for (const Descriptor& entry : index.manifests) {
    fits.push_back(FitOf(entry, host));
    if (fits.back() != Fit::kRuns) continue;
    std::optional<int> fitness = Fitness(*entry.platform, host);
    if (!best_fitness || *fitness > *best_fitness) {
      best = fits.size() - 1;
      best_fitness = fitness;
    }
  }
  auto images = std::count_if(fits.begin(), fits.end(), [](Fit f) { return f != Fit::kNoImage; });
  auto unnamed = std::find(fits.begin(), fits.end(), Fit::kUnnamed);
  if (images == 1 && unnamed != fits.end()) best = static_cast<size_t>(unnamed - fits.begin());
  if (best) fits[*best] = Fit::kChosen;
  return fits;
}

StatusOr<const Descriptor*> ChoosePlatform(const Index& index, const Platform& host) {
  const std::vector<Fit> fits = JudgePlatforms(index, host);
  std::vector<std::string> offered;
  size_t unnamed = 0;
  for (size_t i = 0; i < fits.size(); ++i) {
    const Descriptor& entry = index.manifests[i];
    if (fits[i] == Fit::kChosen) return &entry;
    if (fits[i] == Fit::kUnnamed) ++unnamed;
    if (fits[i] == Fit::kOther || fits[i] == Fit::kTooHigh) {
      offered.push_back(Shown(*entry.platform));
    }
  }
  constexpr size_t kShown = 20;
  std::string list = absl::StrJoin(
      offered.begin(), offered.begin() + static_cast<long>(std::min(offered.size(), kShown)), ", ");
  if (offered.size() > kShown) absl::StrAppend(&list, " and ", offered.size() - kShown, " more");
  if (unnamed > 0) {
    absl::StrAppend(&list, list.empty() ? "" : ", ", unnamed, " without a platform");
  }
  return absl::NotFoundError(absl::StrCat("no image for ", ToString(host), " in the index: it has ",
                                          list.empty() ? "none" : list));
}

Status CheckPlatform(const ImageConfig& config, const Platform& host) {
  // Images made by hand often leave these out.
  if ((config.os.empty() || config.os == host.os) &&
      (config.architecture.empty() || config.architecture == host.architecture)) {
    return absl::OkStatus();
  }
  Platform offered{.os = config.os, .architecture = config.architecture, .variant = {}};
  return absl::NotFoundError(
      absl::StrCat("image is for ", Shown(offered), ", this machine is ", ToString(host)));
}

}  // namespace berth::images
