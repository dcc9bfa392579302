// SPDX-License-Identifier: Apache-2.0
// The folder as its users see it: archives in, root file systems out, crashes in between.
#include "images/service_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "images/test_image.h"
#include "images/unpack/tar_builder.h"
#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using unpack::TarBuilder;
namespace fs = std::filesystem;

class ServiceTest : public ServiceFixture {
 protected:
  void Configure(Options* options) override {
    options->max_layer_bytes = 64 << 20;
    options->max_layer_inodes = 10'000;
    options->pinned = {"registry.test/pinned:1"};
  }

  // The layers' directories, by count.
  size_t LayerDirectories() const {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(dir_ + "/root/layers")) {
      count += entry.path().filename() != "empty";
    }
    return count;
  }
  bool IsEmptyDir(const std::string& name) const {
    return fs::is_empty(absl::StrCat(dir_, "/root/", name));
  }

  StatusOr<std::string> ImportOne(const TestImage& image, const std::string& name) {
    static int counter = 0;
    std::string path = absl::StrCat(dir_, "/layout", counter++);
    image.WriteOciLayout(path);
    ASSIGN_OR_RETURN(auto ids, service_->Import(Context(), path, name));
    return ids.size() == 1 ? StatusOr<std::string>(ids[0]) : absl::InternalError("not one image");
  }
};

TEST_F(ServiceTest, ImportsAndPreparesARoot) {
  TestImage image;
  image.AddLayer(TarBuilder().Dir("etc/").File("etc/a", "lower").Finish());
  image.AddLayer(TarBuilder().File("etc/b", "upper").File(".wh.gone").Finish());
  ASSERT_OK_AND_ASSIGN(std::string id, ImportOne(image, "registry.test/app:1"));
  EXPECT_EQ(id, image.id());
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find("registry.test/app:1"));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->id, id);
  EXPECT_GT(found->size, 0u);
  EXPECT_THAT(found->repo_tags, ElementsAre("registry.test/app:1"));
  EXPECT_THAT(found->repo_digests, ElementsAre("registry.test/app@" + image.manifest_digest()));
  EXPECT_THAT(found->config.entrypoint, ElementsAre("/bin/run"));
  for (const std::string& spelling :
       {id, id.substr(7), id.substr(7, 12), "registry.test/app@" + image.manifest_digest()}) {
    ASSERT_OK_AND_ASSIGN(auto same, service_->Find(spelling));
    ASSERT_NE(same, nullptr) << spelling;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(service_->Find("").status()));

  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c1", id));
  ASSERT_THAT(spec.lower, SizeIs(2));
  EXPECT_TRUE(fs::exists(spec.lower[0] + "/etc/b"));
  EXPECT_TRUE(fs::exists(spec.lower[1] + "/etc/a"));
  EXPECT_TRUE(fs::exists(spec.upper) && fs::exists(spec.work));
  std::ofstream(spec.upper + "/kept") << "x";
  ASSERT_OK_AND_ASSIGN(RootfsSpec again, service_->PrepareRootfs("c1", id));
  EXPECT_EQ(again.upper, spec.upper);
  EXPECT_TRUE(fs::exists(spec.upper + "/kept"));
  ASSERT_OK_AND_ASSIGN(auto usage, service_->RootfsUsage("c1"));
  EXPECT_EQ(usage.second, 2u);
  ASSERT_OK_AND_ASSIGN(FsUsage fs_usage, service_->GetFsUsage());
  EXPECT_GT(fs_usage.used_bytes, 0u);
  EXPECT_GT(fs_usage.inodes_used, 0u);
  EXPECT_OK(service_->RemoveRootfs("c1"));
  EXPECT_OK(service_->RemoveRootfs("c1"));
  EXPECT_FALSE(fs::exists(spec.upper));
  EXPECT_TRUE(absl::IsNotFound(service_->PrepareRootfs("c2", "sha256:00").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(service_->PrepareRootfs("../c", id).status()));
}

TEST_F(ServiceTest, SurvivesARestart) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  ASSERT_OK_AND_ASSIGN(std::string id, ImportOne(image, "registry.test/pinned:1"));
  ASSERT_OK(service_->PrepareRootfs("c1", id));
  ASSERT_OK(service_->PrepareRootfs("c2", id));
  Stop();
  Start();
  ASSERT_OK(service_->Recover({"c1"}));
  EXPECT_TRUE(fs::exists(dir_ + "/root/containers/c1"));
  EXPECT_FALSE(fs::exists(dir_ + "/root/containers/c2"));
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find(id));
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->pinned);
  EXPECT_EQ(found->config_json, image.config_json());
  EXPECT_THAT(found->diff_ids, SizeIs(1));
}

TEST_F(ServiceTest, RemovalKeepsWhatAContainerUses) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  ASSERT_OK_AND_ASSIGN(std::string id, ImportOne(image, "registry.test/app:1"));
  ASSERT_OK(ImportOne(image, "registry.test/other:2"));
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find(id));
  EXPECT_THAT(found->repo_tags, ElementsAre("registry.test/app:1", "registry.test/other:2"));
  EXPECT_EQ(LayerDirectories(), 1u);
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c1", id));
  // One name removes all of them.
  ASSERT_OK(service_->Remove(Context(), "registry.test/other:2"));
  EXPECT_THAT(service_->List(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(auto gone, service_->Find("registry.test/app:1"));
  EXPECT_EQ(gone, nullptr);
  EXPECT_TRUE(fs::exists(spec.lower[0] + "/a"));
  Stop();
  Start();
  ASSERT_OK(service_->Recover({"c1"}));
  EXPECT_TRUE(fs::exists(spec.lower[0] + "/a"));
  EXPECT_OK(service_->PrepareRootfs("c1", id));
  EXPECT_TRUE(absl::IsNotFound(service_->PrepareRootfs("c2", id).status()));
  ASSERT_OK(service_->RemoveRootfs("c1"));
  EXPECT_FALSE(fs::exists(spec.lower[0]));
  EXPECT_EQ(LayerDirectories(), 0u);
  EXPECT_TRUE(IsEmptyDir("blobs/sha256"));
  EXPECT_OK(service_->Remove(Context(), id));
}

TEST_F(ServiceTest, RemovalKeepsWhatIsMountedAsAVolume) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  image.AddLayer(TarBuilder().File("b", "2").Finish());
  ASSERT_OK_AND_ASSIGN(std::string id, ImportOne(image, "registry.test/data:1"));
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareVolume("c1", id));
  ASSERT_THAT(spec.lower, SizeIs(2));
  EXPECT_TRUE(spec.upper.empty() && spec.work.empty());
  EXPECT_TRUE(fs::exists(spec.lower[0] + "/b") && fs::exists(spec.lower[1] + "/a"));
  EXPECT_TRUE(absl::IsNotFound(service_->PrepareVolume("c1", "sha256:00").status()));

  EXPECT_OK(service_->Remove(Context(), id));
  EXPECT_THAT(service_->List(), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(service_->PrepareVolume("c2", id).status()));
  Stop();
  Start();
  EXPECT_OK(service_->Recover({"c1"}));
  ASSERT_OK_AND_ASSIGN(RootfsSpec again, service_->PrepareVolume("c1", id));
  EXPECT_TRUE(fs::exists(again.lower[0] + "/b"));
  EXPECT_OK(service_->RemoveRootfs("c1"));
  EXPECT_EQ(LayerDirectories(), 0u);

  ASSERT_OK_AND_ASSIGN(id, ImportOne(image, "registry.test/data:1"));
  ASSERT_OK(service_->PrepareVolume("c3", id));
  EXPECT_OK(service_->Remove(Context(), id));
  EXPECT_OK(service_->Recover({"c1"}));
  EXPECT_EQ(LayerDirectories(), 0u);
}

TEST_F(ServiceTest, AnAmbiguousPrefixIsRefused) {
  std::map<std::string, TestImage> by_prefix;
  std::optional<std::pair<TestImage, TestImage>> alike;
  for (int i = 0; !alike.has_value(); ++i) {
    TestImage image;
    image.AddLayer(TarBuilder().File("a", std::to_string(i)).Finish());
    auto [other, fresh] = by_prefix.emplace(image.id().substr(7, 3), image);
    if (!fresh) alike = std::pair(other->second, image);
  }
  ASSERT_OK_AND_ASSIGN(std::string first, ImportOne(alike->first, "registry.test/one:1"));
  ASSERT_OK(ImportOne(alike->second, "registry.test/two:1"));
  const std::string prefix = first.substr(7, 3);
  EXPECT_THAT(service_->Find(prefix),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ambiguous")));
  EXPECT_TRUE(absl::IsInvalidArgument(service_->Remove(Context(), "sha256:" + prefix)));
  EXPECT_THAT(service_->List(), SizeIs(2));
  ASSERT_OK(service_->Remove(Context(), first));
  ASSERT_OK_AND_ASSIGN(auto left, service_->Find(prefix));
  ASSERT_NE(left, nullptr);
  EXPECT_EQ(left->id, alike->second.id());
}

TEST_F(ServiceTest, SharesLayersBetweenImages) {
  std::string base = TarBuilder().File("base", std::string(1000, 'b')).Finish();
  TestImage one;
  one.AddLayer(base).AddLayer(TarBuilder().File("one").Finish());
  TestImage two;
  two.AddLayer(base, TestImage::kGzip).AddLayer(TarBuilder().File("two").Finish());
  TestImage three;
  three.AddLayer(base).AddLayer(TarBuilder().File("three").Finish());
  ASSERT_OK(ImportOne(one, "registry.test/one:1"));
  ASSERT_OK(ImportOne(two, "registry.test/two:1"));
  // Another compression is another blob, so another layer: only one's unpacker is believed.
  EXPECT_EQ(LayerDirectories(), 4u);
  ASSERT_OK(ImportOne(three, "registry.test/three:1"));
  EXPECT_EQ(LayerDirectories(), 5u);
  ASSERT_OK(service_->Remove(Context(), "registry.test/one:1"));
  EXPECT_EQ(LayerDirectories(), 4u);
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c", three.id()));
  EXPECT_TRUE(fs::exists(spec.lower[1] + "/base"));
}

TEST_F(ServiceTest, TagMovesToTheNewImage) {
  TestImage one;
  one.AddLayer(TarBuilder().File("one").Finish());
  TestImage two;
  two.AddLayer(TarBuilder().File("two").Finish());
  ASSERT_OK(ImportOne(one, "registry.test/app:latest"));
  ASSERT_OK(ImportOne(two, "registry.test/app"));
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find("registry.test/app"));
  EXPECT_EQ(found->id, two.id());
  ASSERT_OK_AND_ASSIGN(auto old, service_->Find(one.id()));
  ASSERT_NE(old, nullptr);
  EXPECT_THAT(old->repo_tags, IsEmpty());
}

TEST_F(ServiceTest, ImplicitDirectoriesTakeTheAttributesBelow) {
  TarBuilder::Item tmp;
  tmp.name = "home/user/";
  tmp.type = '5';
  tmp.mode = 0710;
  tmp.uid = 1000;
  tmp.gid = 1001;
  TarBuilder::Item root = tmp;
  root.name = "./";
  root.mode = 0711;
  root.uid = 7;
  TestImage image;
  image.AddLayer(TarBuilder().Add(root).Dir("home/", 0751).Add(tmp).Dir("tmp/", 01777).Finish());
  image.AddLayer(TarBuilder().File("home/user/x").File("tmp/y").File("fresh/z").Finish());
  // Deleted and made anew without an entry: nothing is inherited.
  image.AddLayer(TarBuilder().File(".wh.tmp").Finish());
  image.AddLayer(TarBuilder().File("tmp/new").Finish());
  ASSERT_OK_AND_ASSIGN(std::string id, ImportOne(image, "registry.test/app:1"));
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c", id));
  ASSERT_THAT(spec.lower, SizeIs(5));
  struct stat info;
  ASSERT_EQ(stat((spec.lower[0] + "/home/user").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0710u);
  EXPECT_EQ(info.st_uid, 1000u);
  EXPECT_EQ(info.st_gid, 1001u);
  ASSERT_EQ(stat((spec.lower[0] + "/home").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0751u);
  EXPECT_FALSE(fs::exists(spec.lower[0] + "/tmp"));
  EXPECT_FALSE(fs::exists(spec.lower[0] + "/fresh"));
  ASSERT_EQ(stat(spec.upper.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0711u);
  EXPECT_EQ(info.st_uid, 7u);
}

TEST_F(ServiceTest, FailuresLeaveNothingBehind) {
  TestImage wrong;
  wrong.AddLayer(TarBuilder().File("a").Finish()).AddLayer(TarBuilder().File("b").Finish());
  wrong.ForgeDiffId(1);
  EXPECT_THAT(ImportOne(wrong, "registry.test/app:1"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("diffID")));
  TestImage damaged;
  damaged.AddLayer(TarBuilder().File("a").Finish());
  damaged.DamageBlob(0);
  EXPECT_THAT(ImportOne(damaged, "registry.test/app:1"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("digest")));
  TestImage hostile;
  hostile.AddLayer(TarBuilder().File("../../canary").Finish());
  EXPECT_THAT(ImportOne(hostile, "registry.test/app:1"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("climbs")));
  TestImage bomb;
  bomb.AddLayer(TarBuilder().File("big", std::string(80 << 20, '\0')).Finish(), TestImage::kGzip);
  EXPECT_THAT(ImportOne(bomb, "registry.test/app:1"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit")));
  EXPECT_THAT(service_->List(), IsEmpty());
  service_->layers_for_test().AwaitTrash(absl::InfiniteFuture());
  EXPECT_EQ(LayerDirectories(), 0u);
  for (const char* name : {"staging", "ingest", "trash", "blobs/sha256"}) {
    EXPECT_TRUE(IsEmptyDir(name)) << name;
  }
}

TEST_F(ServiceTest, ImportsArchives) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  image.WriteOciLayout(dir_ + "/l");
  ASSERT_EQ(system(absl::StrCat("tar -C ", dir_, "/l -cf ", dir_, "/l.tar .").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(auto ids, service_->Import(Context(), dir_ + "/l.tar", "registry.test/a:1"));
  EXPECT_THAT(ids, ElementsAre(image.id()));
  ASSERT_OK(service_->Remove(Context(), image.id()));
  image.WriteDockerArchive(dir_ + "/d", "app:3");
  ASSERT_EQ(system(absl::StrCat("tar -C ", dir_, "/d -czf ", dir_, "/d.tar .").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(ids, service_->Import(Context(), dir_ + "/d.tar", ""));
  EXPECT_THAT(ids, ElementsAre(image.id()));
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find("app:3"));
  ASSERT_NE(found, nullptr);
  EXPECT_THAT(found->repo_tags, ElementsAre("docker.io/library/app:3"));
  EXPECT_TRUE(IsEmptyDir("staging"));
  EXPECT_THAT(service_->Import(Context(), "/etc", "").status(),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("index.json")));
  EXPECT_TRUE(absl::IsInvalidArgument(service_->Import(Context(), "/dev/null", "").status()));
}

// A hostile layout: what looks like a blob is a FIFO, a device or a way out.
TEST_F(ServiceTest, ImportReadsOnlyRegularFilesBeneath) {
  for (const char* kind : {"fifo", "device", "link"}) {
    fs::create_directory(dir_ + "/h");
    std::string index = dir_ + "/h/index.json";
    std::string name = kind;
    if (name == "fifo") {
      ASSERT_EQ(mkfifo(index.c_str(), 0600), 0);
    }
    if (name == "device") {
      ASSERT_EQ(mknod(index.c_str(), S_IFCHR | 0600, 0x103), 0);
    }
    if (name == "link") fs::create_symlink("/etc/hostname", index);
    EXPECT_FALSE(service_->Import(Context(), dir_ + "/h", "").ok()) << kind;
    fs::remove_all(dir_ + "/h");
  }
}

TEST_F(ServiceTest, ImportsWhatOtherToolsMake) {
  if (system("command -v umoci >/dev/null && command -v skopeo >/dev/null") != 0) {
    GTEST_SKIP() << "umoci or skopeo is not installed";
  }
  std::string script = absl::StrCat(
      "cd ", dir_,
      " && mkdir -p tree/bin && echo hi >tree/bin/sh && chmod 4755 tree/bin/sh &&"
      " umoci init --layout lay && umoci new --image lay:t && umoci insert --image lay:t tree /"
      " && umoci config --image lay:t --config.cmd /bin/sh &&"
      " skopeo --insecure-policy copy -q oci:lay:t docker-archive:d.tar:localhost/made:2 &&"
      " skopeo --insecure-policy copy -q oci:lay:t oci-archive:o.tar:localhost/made:3");
  ASSERT_EQ(system(absl::StrCat("(", script, ") >", dir_, "/log 2>&1").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(auto ids, service_->Import(Context(), dir_ + "/lay", "localhost/made:1"));
  ASSERT_THAT(ids, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c", ids[0]));
  struct stat info;
  ASSERT_EQ(stat((spec.lower[0] + "/bin/sh").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04755u);
  ASSERT_OK(service_->Import(Context(), dir_ + "/d.tar", ""));
  ASSERT_OK(service_->Import(Context(), dir_ + "/o.tar", ""));
  for (const char* name : {"localhost/made:2", "localhost/made:3"}) {
    ASSERT_OK_AND_ASSIGN(auto found, service_->Find(name));
    EXPECT_NE(found, nullptr) << name;
  }
}

TEST_F(ServiceTest, TakesAHundredLayersAndNone) {
  TestImage image;
  for (int i = 0; i < 100; ++i) {
    image.AddLayer(TarBuilder().File(absl::StrCat("f", i), "x").Finish());
  }
  ASSERT_OK_AND_ASSIGN(std::string id, ImportOne(image, "registry.test/deep:1"));
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c", id));
  ASSERT_THAT(spec.lower, SizeIs(100));
  EXPECT_TRUE(fs::exists(spec.lower[0] + "/f99"));
  // Relative to the layers directory the options fit one page.
  size_t length = 0;
  for (const std::string& lower : spec.lower) {
    length += lower.size() - (dir_ + "/root/layers/").size() + 1;
  }
  EXPECT_LT(length, 3500u);
  ASSERT_OK_AND_ASSIGN(id, ImportOne(TestImage(), "registry.test/empty:1"));
  ASSERT_OK_AND_ASSIGN(spec, service_->PrepareRootfs("e", id));
  EXPECT_THAT(spec.lower, SizeIs(1));
}

// Killed at each named step of a commit, then recovered: the image is whole or not there.
TEST_F(ServiceTest, CrashesLeaveTheImageOrNothing) {
  TestImage image;
  image.AddLayer(TarBuilder().Dir("tmp/", 01777).Finish());
  image.AddLayer(TarBuilder().File("tmp/b", "2").Finish());
  image.WriteOciLayout(dir_ + "/crash");
  for (const std::string point :
       {"images.unpacked", "images.published", "images.synced", "images.blob", "images.rows",
        "images.transaction", "images.committed", "images.removed"}) {
    Stop();
    pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      setenv("BERTH_IMAGES_FAILPOINT", point.c_str(), 1);
      Start();
      auto ids = service_->Import(Context(), dir_ + "/crash", "registry.test/app:1");
      if (ids.ok()) (void)service_->Remove(Context(), ids->front());
      _exit(3);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << point << " was not reached";
    Start();
    ASSERT_OK(service_->Recover({}));
    service_->layers_for_test().AwaitTrash(absl::InfiniteFuture());
    ASSERT_OK_AND_ASSIGN(auto found, service_->Find("registry.test/app:1"));
    EXPECT_EQ(found != nullptr, point == "images.committed") << point;
    EXPECT_EQ(LayerDirectories(), found != nullptr ? 3u : 0u) << point;
    for (const char* name : {"staging", "ingest", "trash"}) EXPECT_TRUE(IsEmptyDir(name)) << point;
    if (found == nullptr) {
      EXPECT_TRUE(IsEmptyDir("blobs/sha256")) << point;
    }
    ASSERT_OK_AND_ASSIGN(auto ids,
                         service_->Import(Context(), dir_ + "/crash", "registry.test/app:1"));
    ASSERT_OK(service_->PrepareRootfs("c", ids[0]));
    ASSERT_OK(service_->RemoveRootfs("c"));
    ASSERT_OK(service_->Remove(Context(), ids[0]));
    service_->layers_for_test().AwaitTrash(absl::InfiniteFuture());
    EXPECT_EQ(LayerDirectories(), 0u) << point;
  }
}

}  // namespace
}  // namespace berth::images
