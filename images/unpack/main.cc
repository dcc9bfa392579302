// SPDX-License-Identifier: Apache-2.0
// berth-unpack: one verified blob into one directory, confined. Started by berthd only; see
// report.h for its descriptors and launcher.cc for its arguments.
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "absl/strings/numbers.h"
#include "images/unpack/confine.h"
#include "images/unpack/tar_unpack.h"

namespace berth::images::unpack {
namespace {

struct Arguments {
  Format format = Format::kSniff;
  Limits limits;
  bool prefer_zlib = false;
  int parent = 0;
};

Status ParseArguments(int argc, char** argv, Arguments* out) {
  int format = 0;
  int zlib = 0;
  if (argc != 6 || !absl::SimpleAtoi(argv[1], &format) || format < 0 || format > 3 ||
      !absl::SimpleAtoi(argv[2], &out->limits.max_bytes) ||
      !absl::SimpleAtoi(argv[3], &out->limits.max_inodes) || !absl::SimpleAtoi(argv[4], &zlib) ||
      !absl::SimpleAtoi(argv[5], &out->parent)) {
    return absl::InvalidArgumentError("usage: started by berthd only");
  }
  out->format = static_cast<Format>(format);
  out->prefer_zlib = zlib != 0;
  return absl::OkStatus();
}

Status Run(int argc, char** argv, Report* report) {
  Arguments arguments;
  RETURN_IF_ERROR(ParseArguments(argc, argv, &arguments));
  if (close_range(kImplicitFd + 1, ~0u, 0) != 0) return ErrnoError(errno, "close_range");
  // Nobody would read the report of an orphan, and recovery removes its directory.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return ErrnoError(errno, "PR_SET_PDEATHSIG");
  if (getppid() != arguments.parent) return absl::CancelledError("orphaned");
  umask(0);
  RETURN_IF_ERROR(Initialize());
  auto root = Confine(UniqueFd(kRootFd), arguments.limits.max_bytes);
  if (!root.ok()) return Annotate(root.status(), "confine");
  return UnpackLayer(kBlobFd, root->get(), kImplicitFd, arguments.format, arguments.prefer_zlib,
                     arguments.limits, report);
}

Status RunCatching(int argc, char** argv, Report* report) {
  try {
    return Run(argc, argv, report);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("layer needs more memory than the unpacker may use");
  }
}

}  // namespace
}  // namespace berth::images::unpack

int main(int argc, char** argv) {
  using berth::images::unpack::kReportFd;
  struct stat info;
  if (fstat(kReportFd, &info) != 0 || !S_ISFIFO(info.st_mode)) {
    fprintf(stderr, "berth-unpack is started by berthd; it unpacks one image layer\n");
    return 2;
  }
  static berth::images::unpack::Report report;
  berth::Status status = berth::images::unpack::RunCatching(argc, argv, &report);
  report.magic = berth::images::unpack::kReportMagic;
  report.code = static_cast<uint32_t>(status.code());
  const std::string message(status.message());
  memcpy(report.message, message.data(), std::min(message.size(), sizeof report.message - 1));
  // Smaller than PIPE_BUF, so it arrives whole.
  ssize_t n = write(kReportFd, &report, sizeof report);
  _exit(n == static_cast<ssize_t>(sizeof report) && status.ok() ? 0 : 1);
}
