// SPDX-License-Identifier: Apache-2.0
#include "sandbox/store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "sandbox/filter.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-store-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    database_.reset();
    EXPECT_OK(RemoveTree(AT_FDCWD, dir_));
  }
  void Reopen() {
    store_.reset();
    database_.reset();
    auto database = Database::Open(dir_ + "/db");
    ASSERT_OK(database);
    database_ = *std::move(database);
    auto store = Store::Open(database_.get(), &events_);
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  void PutPod(const std::string& id, int64_t created_at_ns) {
    PodRecord record;
    record.id = id;
    record.phase = Phase::kLive;
    record.created_at_ns = created_at_ns;
    EXPECT_OK(store_->Put(record));
  }
  void PutContainer(const std::string& id, const std::string& pod, int64_t created_at_ns,
                    ContainerState state = ContainerState::kRunning) {
    ContainerRecord record;
    record.id = id;
    record.pod_id = pod;
    record.phase = Phase::kLive;
    record.state = state;
    record.created_at_ns = created_at_ns;
    EXPECT_OK(store_->Put(record));
  }
  std::vector<std::string> Listed(const ContainerFilter& filter = {}) const {
    std::vector<std::string> ids;
    for (const Store::Container& record : Select(*store_, filter)) ids.push_back(record->id);
    return ids;
  }

  std::string dir_;
  EventHub events_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, ListsAreSortedFromTheNewestToTheOldest) {
  PutPod("p1", 1);
  PutContainer("b", "p1", 20);
  PutContainer("a", "p1", 20);
  PutContainer("old", "p1", 10);
  PutContainer("new", "p1", 30);
  EXPECT_THAT(Listed(), ElementsAre("new", "a", "b", "old"));
  PutContainer("b", "p1", 20, ContainerState::kExited);
  EXPECT_THAT(Listed(), ElementsAre("new", "a", "b", "old"));
  EXPECT_OK(store_->EraseContainer("a"));
  EXPECT_THAT(Listed(), ElementsAre("new", "b", "old"));
  Reopen();
  EXPECT_THAT(Listed(), ElementsAre("new", "b", "old"));
}

TEST_F(StoreTest, ContainersAreFoundByTheirPod) {
  PutPod("p1", 1);
  PutPod("p2", 2);
  PutContainer("a", "p1", 10);
  PutContainer("b", "p2", 20);
  PutContainer("c", "p1", 30);
  EXPECT_THAT(Listed({.pod_id = "p1"}), ElementsAre("c", "a"));
  EXPECT_THAT(Listed({.id = "b", .pod_id = "p2"}), ElementsAre("b"));
  EXPECT_THAT(Listed({.id = "b", .pod_id = "p1"}), IsEmpty());
  EXPECT_THAT(Listed({.pod_id = "p"}), IsEmpty()) << "two pods begin like that";
  Reopen();
  EXPECT_THAT(Listed({.pod_id = "p1"}), ElementsAre("c", "a"));
  EXPECT_OK(store_->EraseContainer("b"));
  EXPECT_THAT(Listed({.pod_id = "p2"}), IsEmpty());
}

TEST_F(StoreTest, AnItemIsEncodedOnceUntilItsRecordChanges) {
  PutPod("p1", 1);
  PutContainer("a", "p1", 10);
  static int calls;
  calls = 0;
  std::string (*encode)(const ContainerStatus&) = [](const ContainerStatus& status) {
    return absl::StrCat(status.id, " ", static_cast<int>(status.state), " ", ++calls);
  };
  ListedContainer before = store_->GetContainer("a");
  EXPECT_EQ(before->Encoded(encode), "a 1 1");
  EXPECT_EQ(store_->GetContainer("a")->Encoded(encode), "a 1 1");
  PutContainer("a", "p1", 10, ContainerState::kExited);
  EXPECT_EQ(store_->GetContainer("a")->Encoded(encode), "a 2 2");
  EXPECT_EQ(before->Encoded(encode), "a 1 1") << "a list that is being sent does not change";
}

}  // namespace
}  // namespace berth::sandbox
