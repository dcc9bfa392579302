// SPDX-License-Identifier: Apache-2.0
#include "runtime/stage/pump.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "runtime/stage/monitor.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

inline constexpr int kMaxIov = 640;
inline constexpr size_t kPrefix = 40;  // "2026-01-02T03:04:05.123456789Z stdout F "
inline constexpr int kPunchHoleKeepSize = 3;
inline constexpr uint64_t kPunchEvery = 64 << 10;

char g_window[kPumpWindow];
iovec g_iov[kMaxIov];
char g_full[kPrefix];
char g_partial[kPrefix];
char g_newline[1] = {'\n'};

void Digits(char* out, int count, uint64_t value) {
  for (int i = count - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

// Proleptic Gregorian calendar from days since 1970-01-01 (the era has 146097 days).
void FormatTime(int64_t ns, char* out) {
  uint64_t seconds = static_cast<uint64_t>(ns) / 1000000000u;
  uint64_t days = seconds / 86400 + 719468;  // since 0000-03-01
  uint64_t era = days / 146097;
  uint64_t day_of_era = days % 146097;
  uint64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  uint64_t shifted = (5 * day_of_year + 2) / 153;  // March is 0
  uint64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
  uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  uint64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  memcpy(out, "0000-00-00T00:00:00.000000000Z", 30);
  Digits(out, 4, year);
  Digits(out + 5, 2, month);
  Digits(out + 8, 2, day);
  Digits(out + 11, 2, seconds % 86400 / 3600);
  Digits(out + 14, 2, seconds % 3600 / 60);
  Digits(out + 17, 2, seconds % 60);
  Digits(out + 20, 9, static_cast<uint64_t>(ns) % 1000000000u);
}

void SetPrefixes(int64_t time_ns, int which) {
  FormatTime(time_ns, g_full);
  memcpy(g_full + 30, which == 0 ? " stdout F " : " stderr F ", 10);
  memcpy(g_partial, g_full, kPrefix);
  g_partial[38] = 'P';
}

struct Built {
  int iov_count;
  uint32_t consumed;  // bytes of the window that the lines hold
};

// Cuts the window into log lines. `last`: nothing follows these bytes in the same line, so a rest
// is written too. Cutting depends only on the bytes, never on earlier calls: so an adopter that
// knows [start, start + consumed) gets the same lines.
Built BuildLines(const char* data, uint32_t size, bool last) {
  Built built = {0, 0};
  while (built.consumed < size && built.iov_count + 3 <= kMaxIov) {
    const char* begin = data + built.consumed;
    uint32_t left = size - built.consumed;
    uint32_t look = left < kMaxPiece + 1 ? left : kMaxPiece + 1;
    const void* newline = memchr(begin, '\n', look);
    char* content = const_cast<char*>(begin);
    if (newline != nullptr) {
      uint32_t length = static_cast<uint32_t>(static_cast<const char*>(newline) - begin) + 1;
      g_iov[built.iov_count++] = {g_full, kPrefix};
      g_iov[built.iov_count++] = {content, length};
      built.consumed += length;
      continue;
    }
    if (left <= kMaxPiece && !last) break;
    uint32_t length = left < kMaxPiece ? left : kMaxPiece;
    g_iov[built.iov_count++] = {g_partial, kPrefix};
    g_iov[built.iov_count++] = {content, length};
    g_iov[built.iov_count++] = {g_newline, 1};
    built.consumed += length;
  }
  return built;
}

uint64_t FileSize(int fd) {
  struct stat info;
  return ::fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

// Cuts the log back to its last whole line and counts what is lost. `written` bytes of `built`
// are in the file.
void DropRest(SlotState* slot, int log, uint64_t log_offset, const size_t* sizes, int count,
              uint64_t written) {
  uint64_t whole = 0;
  uint64_t at = 0;
  uint64_t lost = 0;
  size_t line = 0;
  for (int i = 0; i < count; ++i) {
    at += sizes[i];
    line += 1;
    // A line ends with its content's newline (two parts) or with a part of its own (three).
    bool ends = (line == 2 && (i + 1 >= count || sizes[i + 1] != 1)) || line == 3;
    if (!ends) continue;
    line = 0;
    if (at <= written) {
      whole = at;
    } else {
      ++lost;
    }
  }
  (void)!::ftruncate(log, static_cast<off_t>(log_offset + whole));
  slot->dropped_lines += lost;
}

// Writes the built lines after the first `skip` bytes of them.
void WriteLines(SlotState* slot, int log, uint64_t log_offset, int count, uint64_t skip) {
  static size_t sizes[kMaxIov];
  uint64_t total = 0;
  for (int i = 0; i < count; ++i) {
    sizes[i] = g_iov[i].iov_len;
    total += sizes[i];
  }
  uint64_t written = skip;
  int first = 0;
  while (true) {
    while (first < count && skip >= g_iov[first].iov_len) skip -= g_iov[first++].iov_len;
    if (first == count) return;
    g_iov[first].iov_base = static_cast<char*>(g_iov[first].iov_base) + skip;
    g_iov[first].iov_len -= skip;
    ssize_t n = ::writev(log, g_iov + first, count - first);
    if (n < 0 && errno == EINTR) {
      skip = 0;
      continue;
    }
    if (n <= 0) {
      DropRest(slot, log, log_offset, sizes, count, written);
      return;
    }
    written += static_cast<uint64_t>(n);
    skip = static_cast<uint64_t>(n);
    if (written == total) return;
  }
}

void Commit(StreamState* stream, int journal) {
  uint64_t end = stream->start + stream->length;
  stream->consumed = end;
  Publish();
  stream->length = 0;
  Publish();
  if (stream->start / kPunchEvery != end / kPunchEvery) {
    (void)::fallocate(journal, kPunchHoleKeepSize, 0,
                      static_cast<off_t>(end / kPunchEvery * kPunchEvery));
  }
}

// Writes what is complete in the journal; at the end of the stream the rest too.
void WriteJournal(SlotState* slot, const int* fds, int which) {
  StreamState* stream = &slot->streams[which];
  int journal = fds[which == 0 ? kOutJournal : kErrJournal];
  int log = fds[kLogFile];
  while (true) {
    uint64_t available = FileSize(journal) - stream->consumed;
    if (available == 0) return;
    if (log < 0) {
      stream->start = stream->consumed;
      stream->length = static_cast<uint32_t>(available < kPumpQuota ? available : kPumpQuota);
      Commit(stream, journal);
      continue;
    }
    ssize_t n = ::pread(journal, g_window, available < kPumpWindow ? available : kPumpWindow,
                        static_cast<off_t>(stream->consumed));
    if (n <= 0) return;
    bool last = stream->ended != 0 && static_cast<uint64_t>(n) == available;
    Built built = BuildLines(g_window, static_cast<uint32_t>(n), last);
    if (built.consumed == 0) return;
    stream->start = stream->consumed;
    stream->log_offset = FileSize(log);
    stream->time_ns = RealtimeNs();
    Publish();
    stream->length = built.consumed;
    Publish();
    SetPrefixes(stream->time_ns, which);
    WriteLines(slot, log, stream->log_offset, built.iov_count, 0);
    Commit(stream, journal);
  }
}

}  // namespace

Pumped Pump(SlotState* slot, int* fds, int which) {
  int pipe = fds[which == 0 ? kOutRead : kErrRead];
  int journal = fds[which == 0 ? kOutJournal : kErrJournal];
  StreamState* stream = &slot->streams[which];
  if (pipe < 0 || journal < 0) return Pumped::kEnded;
  if (stream->ended != 0) {
    WriteJournal(slot, fds, which);
    return Pumped::kEnded;
  }
  const uint64_t from = FileSize(journal);
  uint64_t at = from;
  uint32_t moved = 0;
  Pumped result = Pumped::kMore;
  while (moved < kPumpQuota) {
    loff_t offset = static_cast<loff_t>(at);
    constexpr unsigned kSpliceNonblock = 2;
    long n = Call(SYS_splice, pipe, nullptr, journal, &offset,
                  static_cast<size_t>(kPumpQuota - moved), kSpliceNonblock);
    if (n == -EINTR) continue;
    if (n == -EAGAIN) {
      result = Pumped::kEmpty;
      break;
    }
    if (n <= 0) {
      stream->ended = 1;
      result = Pumped::kEnded;
      break;
    }
    moved += static_cast<uint32_t>(n);
    at += static_cast<uint64_t>(n);
  }
  // Before the lines are written, which gives up the journal's beginning.
  if (fds[kAttached] >= 0 && !ForwardOutput(fds[kAttached], journal, which, from, at)) {
    CloseAndClear(&fds[kAttached]);
  }
  WriteJournal(slot, fds, which);
  return result;
}

void ResumeFlight(SlotState* slot, const int* fds, int which) {
  StreamState* stream = &slot->streams[which];
  int journal = fds[which == 0 ? kOutJournal : kErrJournal];
  if (stream->length == 0 || journal < 0) return;
  bool committed = stream->consumed == stream->start + stream->length;
  if (!committed && fds[kLogFile] >= 0 && stream->length <= kPumpWindow) {
    ssize_t n = ::pread(journal, g_window, stream->length, static_cast<off_t>(stream->start));
    if (n == static_cast<ssize_t>(stream->length)) {
      SetPrefixes(stream->time_ns, which);
      Built built = BuildLines(g_window, stream->length, /*last=*/true);
      uint64_t size = FileSize(fds[kLogFile]);
      uint64_t skip = size > stream->log_offset ? size - stream->log_offset : 0;
      WriteLines(slot, fds[kLogFile], stream->log_offset, built.iov_count, skip);
    }
  }
  Commit(stream, journal);
}

}  // namespace berth::stage
