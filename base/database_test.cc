// SPDX-License-Identifier: Apache-2.0
#include "base/database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "test/support/status_matchers.h"

namespace berth {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-db-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { EXPECT_OK(RemoveTree(AT_FDCWD, dir_)); }
  std::string dir_;
};

TEST_F(DatabaseTest, KeepsRowsAndRollsBackFailures) {
  constexpr std::string_view kMigrations[] = {"CREATE TABLE t(k TEXT PRIMARY KEY, v BLOB)"};
  {
    ASSERT_OK_AND_ASSIGN(auto db, Database::Open(dir_ + "/db"));
    ASSERT_OK(db->Migrate("test", kMigrations));
    Database::Cell row[] = {std::string("a"), Database::Blob{std::string("x\0y", 3)}};
    ASSERT_OK(db->Run("INSERT INTO t VALUES(?1,?2)", row));
    Status failed = db->Transact(true, [&](Database& tx) -> Status {
      RETURN_IF_ERROR(tx.Run("DELETE FROM t").status());
      return absl::AbortedError("no");
    });
    EXPECT_TRUE(absl::IsAborted(failed));
    EXPECT_TRUE(absl::IsAlreadyExists(db->Run("INSERT INTO t VALUES(?1,?2)", row).status()));
  }
  struct stat info;
  ASSERT_EQ(stat((dir_ + "/db").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open(dir_ + "/db"));
  ASSERT_OK(db->Migrate("test", kMigrations));
  ASSERT_OK_AND_ASSIGN(auto rows, db->Run("SELECT v FROM t"));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(TextOf(rows[0][0]), std::string("x\0y", 3));
}

TEST_F(DatabaseTest, RefusesNewerTablesAndASecondDaemon) {
  constexpr std::string_view kTwo[] = {"CREATE TABLE a(x)", "CREATE TABLE b(x)"};
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open(dir_ + "/db"));
  ASSERT_OK(db->Migrate("test", kTwo));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(db->Migrate("test", std::span<const std::string_view>(kTwo, 1))));
  EXPECT_TRUE(absl::IsFailedPrecondition(Database::Open(dir_ + "/db").status()));
}

}  // namespace
}  // namespace berth
