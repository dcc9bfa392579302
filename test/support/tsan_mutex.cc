// SPDX-License-Identifier: Apache-2.0
// Tells ThreadSanitizer of absl::Mutex, whose library is the distribution's and not built with it:
// each of these takes the place of the library's function of that name, and calls it between the
// annotations of <sanitizer/tsan_interface.h>. What happens between a "pre" and its "post" is not
// looked at, which holds for the conditions that one thread evaluates for another.
//
// In every test of a build with -fsanitize=thread; it needs abseil as a shared library.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"

#define BERTH_TEXT_OF(name) #name
#define BERTH_EXPANDED_TEXT_OF(name) BERTH_TEXT_OF(name)

namespace {

// The library's absl::Mutex::<member>, by the rest of its mangled name.
template <typename Function>
Function* Real(const char* member) {
  static constexpr char kNamespace[] = BERTH_EXPANDED_TEXT_OF(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string name =
      "_ZN4absl" + std::to_string(sizeof kNamespace - 1) + kNamespace + "5Mutex" + member;
  void* found = dlsym(RTLD_NEXT, name.c_str());
  if (found == nullptr) {
    fprintf(stderr, "tsan_mutex.cc: abseil has no %s\n", name.c_str());
    abort();
  }
  return reinterpret_cast<Function*>(found);
}

constexpr unsigned kWrite = 0;
constexpr unsigned kRead = __tsan_mutex_read_lock;
constexpr unsigned kTry = __tsan_mutex_try_lock;

// The library calls some of these functions by others of them; only the outermost is told of.
thread_local bool t_inside = false;

class Outermost {
 public:
  Outermost() : is_(!t_inside) { t_inside = true; }
  ~Outermost() {
    if (is_) t_inside = false;
  }
  Outermost(const Outermost&) = delete;
  Outermost& operator=(const Outermost&) = delete;
  explicit operator bool() const { return is_; }

 private:
  const bool is_;
};

// Runs `real`, which returns with the mutex locked.
template <typename Lock>
auto Locked(absl::Mutex* mutex, unsigned flags, Lock real) {
  const Outermost outermost;
  if (!outermost) return real();
  __tsan_mutex_pre_lock(mutex, flags);
  struct AtEnd {
    absl::Mutex* mutex;
    unsigned flags;
    ~AtEnd() { __tsan_mutex_post_lock(mutex, flags, 0); }
  } at_end{mutex, flags};
  return real();
}

bool Tried(absl::Mutex* mutex, unsigned flags, bool (*real)(absl::Mutex*)) {
  const Outermost outermost;
  if (!outermost) return real(mutex);
  flags |= kTry;
  __tsan_mutex_pre_lock(mutex, flags);
  const bool locked = real(mutex);
  __tsan_mutex_post_lock(mutex, locked ? flags : flags | __tsan_mutex_try_lock_failed, 0);
  return locked;
}

void Unlocked(absl::Mutex* mutex, unsigned flags, void (*real)(absl::Mutex*)) {
  const Outermost outermost;
  if (!outermost) return real(mutex);
  __tsan_mutex_pre_unlock(mutex, flags);
  real(mutex);
  __tsan_mutex_post_unlock(mutex, flags);
}

// A wait gives the mutex up and takes it again. Nobody here waits with a reader's lock.
template <typename Wait>
auto Waited(absl::Mutex* mutex, Wait real) {
  if (!t_inside) {
    __tsan_mutex_pre_unlock(mutex, kWrite);
    __tsan_mutex_post_unlock(mutex, kWrite);
  }
  return Locked(mutex, kWrite, real);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  static auto* const real = Real<void(Mutex*)>("D1Ev");
  __tsan_mutex_destroy(this, 0);
  real(this);
}

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>("4LockEv");
  Locked(this, kWrite, [&] { real(this); });
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>("6UnlockEv");
  Unlocked(this, kWrite, real);
}

bool Mutex::TryLock() {
  static auto* const real = Real<bool(Mutex*)>("7TryLockEv");
  return Tried(this, kWrite, real);
}

void Mutex::ReaderLock() {
  static auto* const real = Real<void(Mutex*)>("10ReaderLockEv");
  Locked(this, kRead, [&] { real(this); });
}

void Mutex::ReaderUnlock() {
  static auto* const real = Real<void(Mutex*)>("12ReaderUnlockEv");
  Unlocked(this, kRead, real);
}

bool Mutex::ReaderTryLock() {
  static auto* const real = Real<bool(Mutex*)>("13ReaderTryLockEv");
  return Tried(this, kRead, real);
}

void Mutex::Await(const Condition& condition) {
  static auto* const real = Real<void(Mutex*, const Condition&)>("5AwaitERKNS0_9ConditionE");
  Waited(this, [&] { real(this, condition); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real =
      Real<bool(Mutex*, const Condition&, Time)>("17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Waited(this, [&] { return real(this, condition, deadline); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Waited(this, [&] { return real(this, condition, timeout); });
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const real = Real<void(Mutex*, const Condition&)>("8LockWhenERKNS0_9ConditionE");
  Locked(this, kWrite, [&] { real(this, condition); });
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Locked(this, kWrite, [&] { return real(this, condition, deadline); });
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Locked(this, kWrite, [&] { return real(this, condition, timeout); });
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("14ReaderLockWhenERKNS0_9ConditionE");
  Locked(this, kRead, [&] { real(this, condition); });
}

ABSL_NAMESPACE_END
}  // namespace absl
