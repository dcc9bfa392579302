// SPDX-License-Identifier: Apache-2.0
#include "runtime/wire/plan.h"

#include <string.h>

namespace berth::wire {
namespace {

inline constexpr uint64_t kCloneNewNs = 0x00020000;

// What a slice of a step must be.
enum class Text : uint8_t {
  kEmpty,    // no slice
  kPath,     // not empty, no NUL inside, NUL after
  kString,   // may be empty, no NUL inside, NUL after
  kStrings,  // zero or more strings, each ending in NUL
  kStringsNotEmpty,
  kBytes,  // anything
};

enum class FdUse : uint8_t { kNever, kAlways };

struct Shape {
  FdUse fd;
  Text a;
  Text b;
  uint16_t flags;   // those that may be set
  bool needs_root;  // resolves a path inside the root
  uint32_t a_size;  // exact size of `a` for kBytes, or 0
  uint32_t a_unit;  // `a` is a multiple of this many bytes, or 0
};

// False for an unknown operation.
bool ShapeOf(Op op, Shape* shape) {
  constexpr FdUse kNo = FdUse::kNever;
  constexpr FdUse kYes = FdUse::kAlways;
  constexpr Text kNone = Text::kEmpty;
  switch (op) {
    case Op::kSetns:
    case Op::kCgroupTasks:
    case Op::kRoot:
    case Op::kStdio:
    case Op::kDupFd:
      *shape = {kYes, kNone, kNone, 0, false, 0, 0};
      return true;
    case Op::kUnshare:
    case Op::kHandOver:
    case Op::kStdioOwner:
    case Op::kGate:
    case Op::kLoopbackUp:
    case Op::kSetsid:
    case Op::kUmask:
    case Op::kIoPriority:
    case Op::kPersonality:
    case Op::kNewKeyring:
    case Op::kCapBounding:
    case Op::kNoNewPrivs:
    case Op::kPause:
    case Op::kDone:
      *shape = {kNo, kNone, kNone, 0, false, 0, 0};
      return true;
    case Op::kOomScoreAdj:
      *shape = {kNo, kNone, kNone, kClamp, false, 0, 0};
      return true;
    case Op::kPivot:
    case Op::kRootReadonly:
    case Op::kConsole:
      *shape = {kNo, kNone, kNone, 0, true, 0, 0};
      return true;
    case Op::kHostname:
    case Op::kDomainname:
      *shape = {kNo, Text::kString, kNone, 0, false, 0, 0};
      return true;
    case Op::kSysctl:
      *shape = {kNo, Text::kPath, Text::kString, kOptional, false, 0, 0};
      return true;
    case Op::kAttach:
      *shape = {kYes, Text::kPath, kNone, kCreateDir | kCreateFile, true, 0, 0};
      return true;
    case Op::kMountFs:
      *shape = {kNo, Text::kPath, Text::kStringsNotEmpty, kCreateDir | kOptional, true, 0, 0};
      return true;
    case Op::kMkdir:
    case Op::kReadonly:
    case Op::kVolume:
    case Op::kMakeCwd:
    case Op::kCwd:
      *shape = {kNo, Text::kPath, kNone, 0, true, 0, 0};
      return true;
    case Op::kSymlink:
    case Op::kRelabel:
      *shape = {kNo, Text::kPath, Text::kPath, 0, true, 0, 0};
      return true;
    case Op::kMask:
      *shape = {kYes, Text::kPath, kNone, 0, true, 0, 0};
      return true;
    case Op::kRlimit:
      *shape = {kNo, Text::kBytes, kNone, kClamp | kRaise, false, 16, 0};
      return true;
    case Op::kScheduler:
      *shape = {kNo, Text::kBytes, kNone, 0, false, 0, 0};
      return true;
    case Op::kLsmLabel:
      *shape = {kNo, Text::kPath, Text::kPath, 0, false, 0, 0};
      return true;
    case Op::kUser:
      *shape = {kNo, Text::kBytes, kNone, 0, false, 0, 4};
      return true;
    case Op::kCapsets:
      *shape = {kNo, Text::kBytes, kNone, 0, false, 32, 0};
      return true;
    case Op::kSeccomp:
      *shape = {kNo, Text::kBytes, kNone, 0, false, 0, 8};
      return true;
    case Op::kExec:
      *shape = {kNo, Text::kStringsNotEmpty, Text::kStrings, 0, false, 0, 0};
      return true;
    case Op::kInvalid:
      return false;
  }
  return false;
}

bool IsEnd(Op op) { return op == Op::kExec || op == Op::kPause || op == Op::kDone; }

bool IsText(const char* bytes, uint32_t count, Slice slice, Text text) {
  if (slice.offset > count || slice.size > count - slice.offset) return false;
  const char* begin = bytes + slice.offset;
  switch (text) {
    case Text::kEmpty:
      return slice.size == 0;
    case Text::kBytes:
      return true;
    case Text::kPath:
      if (slice.size == 0) return false;
      [[fallthrough]];
    case Text::kString:
      return slice.size < count - slice.offset && begin[slice.size] == 0 &&
             memchr(begin, 0, slice.size) == nullptr;
    case Text::kStringsNotEmpty:
      return slice.size > 0 && begin[slice.size - 1] == 0;
    case Text::kStrings:
      return slice.size == 0 || begin[slice.size - 1] == 0;
  }
  return false;
}

bool IsValidStep(const Header& header, const Step& step, const char* bytes, uint32_t byte_count,
                 bool has_root) {
  Shape shape;
  if (!ShapeOf(step.op, &shape)) return false;
  if ((step.flags & ~shape.flags) != 0) return false;
  if (shape.fd == FdUse::kAlways) {
    if (step.fd < 0 || static_cast<uint32_t>(step.fd) >= header.fd_count) return false;
  } else if (step.fd != kNoFd) {
    return false;
  }
  if (!IsText(bytes, byte_count, step.a, shape.a)) return false;
  if (!IsText(bytes, byte_count, step.b, shape.b)) return false;
  if (shape.a_size != 0 && step.a.size != shape.a_size) return false;
  if (shape.a_unit != 0 && step.a.size % shape.a_unit != 0) return false;
  if (shape.needs_root && !has_root) return false;
  switch (step.op) {
    case Op::kStdio:
      return step.arg <= 2;
    case Op::kDupFd:
      return step.arg >= 3 && step.arg < (1u << 16);
    case Op::kSeccomp:
      return step.a.size > 0 && step.a.size / 8 <= 4096;
    case Op::kUser:
      return step.a.size / 4 <= 65536;
    case Op::kRlimit:
      return step.arg < 64;
    case Op::kScheduler:
      return step.a.size >= 48 && step.a.size <= 256;
    default:
      return true;
  }
}

}  // namespace

bool Validate(const void* data, size_t size, PlanView* view) {
  if (size < sizeof(Header) || size > kMaxPlanBytes) return false;
  const char* base = static_cast<const char*>(data);
  const Header* header = static_cast<const Header*>(data);
  if (header->magic != kPlanMagic || header->version != kPlanVersion || header->size != size ||
      header->reserved != 0) {
    return false;
  }
  if (header->step_count == 0 || header->step_count > kMaxPlanSteps) return false;
  if (header->fd_count > kMaxPlanFds) return false;
  size_t steps_bytes = header->step_count * sizeof(Step);
  if (steps_bytes > size - sizeof(Header)) return false;
  const Step* steps = reinterpret_cast<const Step*>(base + sizeof(Header));
  const char* bytes = base + sizeof(Header) + steps_bytes;
  uint32_t byte_count = static_cast<uint32_t>(size - sizeof(Header) - steps_bytes);

  bool has_root = false;
  int roots = 0;
  for (uint32_t i = 0; i < header->step_count; ++i) {
    const Step& step = steps[i];
    if (IsEnd(step.op) != (i + 1 == header->step_count)) return false;
    if (!IsValidStep(*header, step, bytes, byte_count, has_root)) return false;
    if (step.op == Op::kRoot) {
      if (++roots > 1 || has_root) return false;
      has_root = true;
    }
    if (step.op == Op::kSetns && (step.arg & kCloneNewNs) != 0) has_root = true;
  }
  *view = PlanView{header, steps, bytes, byte_count};
  return true;
}

}  // namespace berth::wire
