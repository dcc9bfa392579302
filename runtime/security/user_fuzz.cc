// SPDX-License-Identifier: Apache-2.0
// An image's user: the first line is its USER, up to the first NUL is its passwd file, the rest its
// group file. IDs stay in range and the home directory can go into an environment variable.
#include "runtime/security/user.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/sys.h"

using namespace berth;
using namespace berth::runtime;

namespace {

// A root directory with an etc/ in memory, made once; its name is gone at once, too.
int Root() {
  static const int root = [] {
    char pattern[] = "/tmp/berth-user-fuzz.XXXXXX";
    if (mkdtemp(pattern) == nullptr) abort();
    const int fd = open(pattern, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || mkdirat(fd, "etc", 0700) != 0) abort();
    static const std::string path = pattern;
    atexit([] { (void)RemoveTree(AT_FDCWD, path); });
    return fd;
  }();
  return root;
}

void Write(const char* name, std::string_view text) {
  auto fd = sys::OpenAt(Root(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!fd.ok() || !WriteAll(fd->get(), text).ok()) abort();
}

void Check(const UserRequest& request) {
  const auto user = ResolveUser(Root(), request);
  if (!user.ok()) return;
  if (user->uid > 2147483647u || user->gid > 2147483647u || !user->home.starts_with('/')) abort();
  if (std::ranges::any_of(user->home, [](char c) { return c >= 0 && c < 0x20; })) abort();
  if (!std::ranges::is_sorted(user->additional_gids)) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64u << 10) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const std::string_view files = input.substr(std::min(line + 1, input.size()));
  const size_t half = std::min(files.find('\0'), files.size());
  Write("etc/passwd", files.substr(0, half));
  Write("etc/group", files.substr(std::min(half + 1, files.size())));

  UserRequest request;
  request.image_user = input.substr(0, line);
  Check(request);
  request.run_as_username = request.image_user;
  Check(request);
  request.strict_groups = true;
  Check(request);
  return 0;
}
