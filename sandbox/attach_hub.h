// SPDX-License-Identifier: Apache-2.0
// Many clients at one container: the runtime gives one live view of it, and one thread hands what
// arrives to every client. A client that does not read loses its streams; nobody waits for it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/runtime.h"

namespace berth::sandbox {

class AttachHub;

// What a client wants of a container.
struct AttachWish {
  bool in = false, out = false, err = false;
  // The input goes to one client at a time, so that it ends when that client is done.
  bool sole_input = false;
};

// One client's place at a container. Destroying it leaves; the last to leave ends the view. Not
// thread safe but for dropped(). The hub outlives it.
class AttachSeat {
 public:
  // Non-blocking, close-on-exec, moved out once; not set: not wished for, or the container has
  // none. `out` and `err` end with the container, or when this client has been dropped; `in` is a
  // pipe's write end or a terminal's master side.
  UniqueFd in, out, err;
  // Another descriptor of the terminal, if it has one: to set its size.
  UniqueFd terminal;

  ~AttachSeat();
  // It was cut off because more than AttachHub::kMaxBehind bytes waited for it.
  bool dropped() const { return fate_->dropped.load(); }

 private:
  friend class AttachHub;
  // What the hub knows of a client.
  struct Fate {
    std::atomic<bool> dropped = false;
    std::vector<uint64_t> streams = {};  // guarded by the hub's mutex
  };

  AttachHub* hub_ = nullptr;  // set once it counts
  uint64_t view_ = 0;
  const std::shared_ptr<Fate> fate_ = std::make_shared<Fate>();
};

// Thread safe.
class AttachHub {
 public:
  static constexpr size_t kMaxBehind = 4 << 20;  // bytes of a stream
  using Open = std::function<StatusOr<runtime::Attachment>()>;

  // Starts the thread.
  static StatusOr<std::unique_ptr<AttachHub>> Make();
  // All streams end. No seat may be left.
  ~AttachHub();

  // [blocks] `open` gives the view if nobody sits at the container yet; it is called on this
  // thread, never twice at a time for one container.
  StatusOr<std::unique_ptr<AttachSeat>> Join(const std::string& container_id,
                                             const AttachWish& wish, const Open& open);

 private:
  friend class AttachSeat;

  struct View {
    absl::Mutex opening;  // held to open; taken before mutex_
    // All others: guarded by mutex_.
    uint64_t number = 0;  // 0: not open yet
    bool over = false;    // no longer in views_: whoever waits for `opening` starts again
    std::string container_id;
    UniqueFd output, input;
    bool terminal = false;
    int seats = 0;
    std::vector<uint64_t> out, err;  // streams
  };

  // One stream of one client.
  struct Stream {
    UniqueFd fd;
    std::string waiting;  // from `sent` on
    size_t sent = 0;
    bool ended = false;  // goes when all is sent
    std::shared_ptr<AttachSeat::Fate> fate;
  };

  AttachHub(UniqueFd poll, UniqueFd wake) : poll_(std::move(poll)), wake_(std::move(wake)) {}
  void Run();
  void OnEvent(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Read(View* view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Give(const std::vector<uint64_t>& streams, std::string_view data)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: its client is gone.
  static bool Send(Stream* stream);
  void EndView(View* view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndClient(const AttachSeat::Fate& fate) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::shared_ptr<View> FindView(const std::string& container_id);
  Status OpenView(const std::shared_ptr<View>& view, runtime::Attachment attachment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StatusOr<std::unique_ptr<AttachSeat>> Sit(View* view, const AttachWish& wish)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status AddStream(AttachSeat* seat, std::vector<uint64_t>* streams, UniqueFd* end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status Watch(int fd, uint32_t events, uint64_t number);
  void Leave(const AttachSeat& seat);

  const UniqueFd poll_, wake_;
  absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;  // 0 is the wake-up
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::shared_ptr<View>> views_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::shared_ptr<View>> open_views_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Stream> streams_ ABSL_GUARDED_BY(mutex_);
  std::string packet_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace berth::sandbox
