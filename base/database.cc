// SPDX-License-Identifier: Apache-2.0
#include "base/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/sys.h"

namespace berth {
namespace {

// Some dozens of pages: enough for the deletes that make room.
constexpr off_t kReserveBytes = 256 << 10;

}  // namespace

StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite would create it with the umask's mode.
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(path, O_RDWR | O_CREAT, 0600));
  sqlite3* db = nullptr;
  int rc = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(db));
  if (rc != SQLITE_OK) return database->Error(absl::StrCat("open database ", path));
  sqlite3_busy_timeout(db, 1000);
  for (const char* pragma :
       {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL",
        "PRAGMA foreign_keys=ON", "BEGIN IMMEDIATE", "COMMIT"}) {
    auto result = database->Run(pragma);
    if (!result.ok()) return Annotate(result.status(), absl::StrCat("open database ", path));
  }
  ASSIGN_OR_RETURN(database->reserve_, sys::Open(path + ".reserve", O_RDWR | O_CREAT, 0600));
  database->HoldReserve();
  return database;
}

// Best effort: on a disk that is full already there is nothing to hold back.
void Database::HoldReserve() {
  if (reserve_held_ || !reserve_.ok()) return;
  reserve_held_ = posix_fallocate(reserve_.get(), 0, kReserveBytes) == 0;
  if (!reserve_held_) (void)!ftruncate(reserve_.get(), 0);
}

bool Database::GiveUpReserve() {
  if (!reserve_held_) return false;
  reserve_held_ = false;
  return ftruncate(reserve_.get(), 0) == 0;
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Status Database::Error(std::string_view what) const {
  std::string message = absl::StrCat(std::string(what), ": ", sqlite3_errmsg(db_));
  switch (sqlite3_errcode(db_) & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(message);
    default:
      return absl::InternalError(message);
  }
}

Status Database::Migrate(const std::string& owner, std::span<const std::string_view> migrations) {
  return Transact(/*durable=*/true, [&](Database& db) -> Status {
    RETURN_IF_ERROR(db.Run("CREATE TABLE IF NOT EXISTS schema_version("
                           "owner TEXT PRIMARY KEY, version INTEGER NOT NULL)")
                        .status());
    Cell name = owner;
    ASSIGN_OR_RETURN(auto rows, db.Run("SELECT version FROM schema_version WHERE owner=?1",
                                       std::span<const Cell>(&name, 1)));
    size_t have = rows.empty() ? 0 : static_cast<size_t>(IntOf(rows[0][0]));
    if (have > migrations.size()) {
      return absl::FailedPreconditionError(
          absl::StrCat("tables of ", owner, " have version ", have, ", this program knows ",
                       migrations.size(), ": it is older than the one that wrote them"));
    }
    for (size_t i = have; i < migrations.size(); ++i) {
      RETURN_IF_ERROR(
          Annotate(db.Run(migrations[i]).status(), absl::StrCat("migrate ", owner, " to ", i + 1)));
    }
    Cell params[] = {owner, static_cast<int64_t>(migrations.size())};
    return db
        .Run(
            "INSERT INTO schema_version VALUES(?1,?2) "
            "ON CONFLICT(owner) DO UPDATE SET version=?2",
            params)
        .status();
  });
}

StatusOr<sqlite3_stmt*> Database::Prepare(std::string_view sql) {
  for (auto& [text, statement] : statements_) {
    if (text == sql) return statement;
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK) {
    return Error(absl::StrCat("prepare \"", std::string(sql), "\""));
  }
  statements_.emplace_back(std::string(sql), statement);
  return statement;
}

StatusOr<std::vector<Database::Row>> Database::Run(std::string_view sql,
                                                   std::span<const Cell> params) {
  std::lock_guard lock(mutex_);
  return RunLocked(sql, params);
}

StatusOr<std::vector<Database::Row>> Database::RunLocked(std::string_view sql,
                                                         std::span<const Cell> params) {
  // Inside a transaction the whole of it is tried again, by Transact.
  const bool alone = sqlite3_get_autocommit(db_) != 0;
  StatusOr<std::vector<Row>> rows = Step(sql, params);
  if (alone && absl::IsResourceExhausted(rows.status()) && GiveUpReserve()) {
    rows = Step(sql, params);
  } else if (alone && rows.ok()) {
    HoldReserve();
  }
  return rows;
}

StatusOr<std::vector<Database::Row>> Database::Step(std::string_view sql,
                                                    std::span<const Cell> params) {
  ASSIGN_OR_RETURN(sqlite3_stmt * statement, Prepare(sql));
  for (size_t i = 0; i < params.size(); ++i) {
    int at = static_cast<int>(i) + 1;
    const Cell& cell = params[i];
    if (const auto* number = std::get_if<int64_t>(&cell)) {
      sqlite3_bind_int64(statement, at, *number);
    } else if (const auto* text = std::get_if<std::string>(&cell)) {
      sqlite3_bind_text64(statement, at, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<Blob>(&cell)) {
      sqlite3_bind_blob64(statement, at, blob->bytes.data(), blob->bytes.size(), SQLITE_STATIC);
    } else {
      sqlite3_bind_null(statement, at);
    }
  }
  std::vector<Row> rows;
  int rc;
  while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
    Row& row = rows.emplace_back();
    int columns = sqlite3_column_count(statement);
    for (int i = 0; i < columns; ++i) {
      const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, i));
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
          row.emplace_back(static_cast<int64_t>(sqlite3_column_int64(statement, i)));
          break;
        case SQLITE_BLOB:
          row.emplace_back(
              Blob{std::string(static_cast<const char*>(sqlite3_column_blob(statement, i)), size)});
          break;
        case SQLITE_NULL:
          row.emplace_back();
          break;
        default:
          row.emplace_back(
              std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, i)), size));
      }
    }
  }
  Status status =
      rc == SQLITE_DONE ? absl::OkStatus() : Error(absl::StrCat("run \"", std::string(sql), "\""));
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  if (!status.ok()) return status;
  return rows;
}

Status Database::Transact(bool durable, const std::function<Status(Database&)>& body) {
  std::lock_guard lock(mutex_);
  if (durable) RETURN_IF_ERROR(RunLocked("PRAGMA synchronous=FULL", {}).status());
  Status status = TransactOnce(body);
  if (absl::IsResourceExhausted(status) && GiveUpReserve()) status = TransactOnce(body);
  if (durable) (void)RunLocked("PRAGMA synchronous=NORMAL", {});
  return status;
}

Status Database::TransactOnce(const std::function<Status(Database&)>& body) {
  Status status = Step("BEGIN IMMEDIATE", {}).status();
  if (!status.ok()) return status;
  status = body(*this);
  if (status.ok()) status = Step("COMMIT", {}).status();
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) (void)Step("ROLLBACK", {});
  return status;
}

int64_t IntOf(const Database::Cell& cell) {
  const auto* number = std::get_if<int64_t>(&cell);
  return number == nullptr ? 0 : *number;
}

const std::string& TextOf(const Database::Cell& cell) {
  static const std::string* const kEmpty = new std::string;
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* blob = std::get_if<Database::Blob>(&cell)) return blob->bytes;
  return *kEmpty;
}

}  // namespace berth
