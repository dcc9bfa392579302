// SPDX-License-Identifier: Apache-2.0
#include "base/database.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

// A full disk must not keep anybody from deleting what fills it.
TEST_F(DatabaseTest, DeletesOnAFullDisk) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a small tmpfs";
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount("tmpfs", dir_.c_str(), "tmpfs", 0, "size=2m") != 0) {
      _exit(2);
    }
    auto db = Database::Open(dir_ + "/db");
    if (!db.ok() || !(*db)->Run("CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)").ok()) _exit(3);
    Database::Cell row[] = {int64_t{1}, Database::Blob{std::string(100000, 'x')}};
    if (!(*db)->Run("INSERT INTO t VALUES(?1,?2)", row).ok()) _exit(4);
    UniqueFd filler(open((dir_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    std::string block(4096, 'x');
    while (write(filler.get(), block.data(), block.size()) > 0) {
    }
    _exit((*db)->Run("DELETE FROM t WHERE k=1").ok() ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace berth
