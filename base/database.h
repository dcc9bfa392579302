// SPDX-License-Identifier: Apache-2.0
// A thin owner of one SQLite database in WAL mode: the daemon's only store (records of pods and
// containers, image metadata). Tables belong to the folder that creates them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

struct sqlite3;
struct sqlite3_stmt;

namespace berth {

// A little room on the disk is held back beside the file and given up when the disk is full, so
// that what frees the disk (deleting records) can still be written.
//
// Thread safe: one connection behind one mutex. Statements are prepared once and cached.
class Database {
 public:
  struct Blob {
    std::string bytes;
  };
  using Cell = std::variant<std::monostate, int64_t, std::string, Blob>;
  using Row = std::vector<Cell>;

  // Opens or creates `path` with mode 0600. FailedPrecondition if another process has it open for
  // the daemon, DataLoss if the file is not a database.
  static StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();

  // Brings the tables of `owner` from their recorded version to `version` by running
  // migrations[recorded..version). FailedPrecondition if the file is from a newer version.
  Status Migrate(const std::string& owner, std::span<const std::string_view> migrations);

  // Runs one statement. `params` bind to ?1, ?2, ...
  StatusOr<std::vector<Row>> Run(std::string_view sql, std::span<const Cell> params = {});

  // Runs `body` in one transaction; rolled back if it fails. durable: the commit is on disk
  // when this returns (synchronous=FULL), else it survives a crash of the daemon but maybe not a
  // power cut (NORMAL). `body` gets this database and may call Run only.
  Status Transact(bool durable, const std::function<Status(Database&)>& body);

 private:
  explicit Database(sqlite3* db) : db_(db) {}
  Status TransactOnce(const std::function<Status(Database&)>& body);
  StatusOr<std::vector<Row>> Step(std::string_view sql, std::span<const Cell> params);
  // True if room was given up and the work may be tried again.
  bool GiveUpReserve();
  void HoldReserve();
  StatusOr<std::vector<Row>> RunLocked(std::string_view sql, std::span<const Cell> params);
  StatusOr<sqlite3_stmt*> Prepare(std::string_view sql);
  Status Error(std::string_view what) const;

  sqlite3* const db_;
  UniqueFd reserve_;
  bool reserve_held_ = false;
  // Recursive: the body of Transact calls Run on the same thread.
  std::recursive_mutex mutex_;
  std::vector<std::pair<std::string, sqlite3_stmt*>> statements_;
};

// The cell's value; 0 or empty if it holds another type. Blobs read as their bytes.
int64_t IntOf(const Database::Cell& cell);
const std::string& TextOf(const Database::Cell& cell);

}  // namespace berth
