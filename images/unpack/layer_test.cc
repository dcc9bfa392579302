// SPDX-License-Identifier: Apache-2.0
// Layers, good and hostile, through the whole of berth-unpack but its confinement.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "images/unpack/layer_fixture.h"
#include "images/unpack/tar_builder.h"
#include "test/support/status_matchers.h"

namespace berth::images::unpack {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;
using Item = TarBuilder::Item;

Item Special(const std::string& name, char type, unsigned major = 0, unsigned minor = 0) {
  Item item;
  item.name = name;
  item.type = type;
  item.major = major;
  item.minor = minor;
  item.mode = 0620;
  return item;
}

TEST_F(LayerTest, KeepsEveryAttribute) {
  Item file;
  file.name = "./usr/bin/su";
  file.data = "program";
  file.mode = 04755;
  file.uid = 4'000'000'000;
  file.gid = 70000;
  file.mtime = -5;
  Item precise;
  precise.name = "precise";
  precise.pax = {{"mtime", "1000000000.123456789"},
                 {"SCHILY.xattr.user.note", "hello"},
                 {"SCHILY.xattr.trusted.overlay.opaque", "y"},
                 {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
                 {"SCHILY.xattr.user.overlay.opaque", "y"}};
  Item dir;
  dir.name = "usr/";
  dir.type = '5';
  dir.mode = 01777;
  dir.mtime = 77;
  ASSERT_OK(Unpack(TarBuilder()
                       .Add(file)
                       .Add(precise)
                       .Add(dir)
                       .Symlink("abs", "/etc/passwd")
                       .Symlink("up", "../../../../etc")
                       .HardLink("su2", "/usr/bin/su")
                       .Add(Special("null", '3', 1, 3))
                       .Add(Special("disk", '4', 300, 70000))
                       .Add(Special("pipe", '6'))));
  struct stat info = Stat("usr/bin/su");
  EXPECT_EQ(info.st_mode & 07777, 04755u);
  EXPECT_EQ(info.st_uid, 4'000'000'000u);
  EXPECT_EQ(info.st_gid, 70000u);
  EXPECT_EQ(info.st_mtim.tv_sec, -5);
  EXPECT_EQ(info.st_nlink, 2u);
  EXPECT_EQ(Stat("precise").st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(Xattr("precise", "user.note"), "hello");
  EXPECT_EQ(Xattr("precise", "trusted.overlay.opaque"), "");
  EXPECT_EQ(Xattr("precise", "trusted.overlay.redirect"), "");
  EXPECT_EQ(Xattr("precise", "user.overlay.opaque"), "");
  info = Stat("usr");
  EXPECT_EQ(info.st_mode & 07777, 01777u);
  EXPECT_EQ(info.st_mtim.tv_sec, 77);
  EXPECT_EQ(Stat("null").st_rdev, makedev(1, 3));
  EXPECT_EQ(Stat("disk").st_rdev, makedev(300, 70000));
  EXPECT_TRUE(S_ISFIFO(Stat("pipe").st_mode));
  EXPECT_EQ(fs::read_symlink(dir_ + "/fs/up"), "../../../../etc");
  EXPECT_EQ(report_.bytes, 7u);
  // The root and usr/bin had no entry.
  EXPECT_EQ(implicit_, std::string("\0usr/bin\0", 9));
}

TEST_F(LayerTest, KeepsFileCapabilities) {
  const std::string cap(
      "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00",
      20);
  Item item;
  item.name = "ping";
  item.uid = 12;
  item.pax = {{"SCHILY.xattr.security.capability", cap}};
  ASSERT_OK(Unpack(TarBuilder().Add(item)));
  EXPECT_EQ(Xattr("ping", "security.capability"), cap);
}

TEST_F(LayerTest, WhiteoutsBecomeOverlayForm) {
  ASSERT_OK(Unpack(TarBuilder()
                       .File("etc/.wh.gone")
                       .File("opt/.wh..wh..opq")
                       .File("opt/kept", "k")
                       .File("both/x", "x")
                       .File(".wh.both")
                       .File(".wh.anew")
                       .Dir("anew/")
                       .File(".wh.plain")
                       .File("plain", "new")
                       .Dir(".wh..wh.plnk/")
                       .File(".wh..wh.plnk/12.34", "aufs")));
  EXPECT_TRUE(IsWhiteout("etc/gone"));
  EXPECT_EQ(Xattr("opt", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Text("opt/kept"), "k");
  // Whiteouts hide what is below, never what the same layer holds.
  EXPECT_EQ(Text("both/x"), "x");
  EXPECT_EQ(Xattr("both", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Xattr("anew", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Text("plain"), "new");
  EXPECT_FALSE(Exists(".wh..wh.plnk"));
}

TEST_F(LayerTest, LastOfDuplicatesWins) {
  ASSERT_OK(Unpack(TarBuilder()
                       .File("a", "1")
                       .File("a", "22")
                       .Dir("d/")
                       .File("d/in", "x")
                       .Dir("d/", 0700)
                       .Dir("gone/")
                       .File("gone/in", "x")
                       .File("gone", "file")
                       .Symlink("link", "/etc")
                       .Dir("link/")
                       .File("link/in", "x")
                       .HardLink("a", "./a")));
  EXPECT_EQ(Text("a"), "22");
  EXPECT_EQ(Text("d/in"), "x");
  EXPECT_EQ(Stat("d").st_mode & 07777, 0700u);
  EXPECT_EQ(Text("gone"), "file");
  EXPECT_EQ(Text("link/in"), "x");
}

TEST_F(LayerTest, ConfinesLinksToTheLayer) {
  // Through symbolic links that point out, files land inside.
  ASSERT_OK(Unpack(TarBuilder()
                       .Dir("x/")
                       .Symlink("abs", "/x")
                       .File("abs/f", "1")
                       .Symlink("up", "../../../../x")
                       .File("up/g", "2")
                       .Symlink("chain", "up")
                       .File("chain/h", "3")));
  EXPECT_EQ(Text("x/f") + Text("x/g") + Text("x/h"), "123");
  Fresh();
  // Overwriting a link replaces it; its target is not touched, nor its mode through a hard link.
  Item suid;
  suid.name = "l2";
  suid.type = '1';
  suid.target = "l";
  suid.mode = 04777;
  ASSERT_OK(Unpack(TarBuilder().Symlink("l", canary_).Add(suid).File("l", "mine", 04777)));
  EXPECT_EQ(Text("l"), "mine");
  EXPECT_TRUE(S_ISLNK(Stat("l2").st_mode));
  Fresh();
  EXPECT_THAT(Unpack(TarBuilder().Symlink("d", dir_).File("d/canary", "dead")),
              testing::Not(IsOk()));
  EXPECT_THAT(Unpack(TarBuilder().Symlink("e", dir_).HardLink("mine", "e/canary")),
              testing::Not(IsOk()));
}

struct Hostile {
  const char* what;
  TarBuilder tar;
  const char* message;
};

TEST_F(LayerTest, RejectsHostileEntries) {
  Item huge;
  huge.name = "huge";
  huge.raw_size = std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
  Item negative = huge;
  negative.raw_size = std::string(12, '\xff');
  Item uid;
  uid.name = "u";
  uid.uid = 0x1'0000'0000;
  Item minus_one = uid;
  minus_one.uid = 0xffffffff;
  Item big_xattr;
  big_xattr.name = "x";
  big_xattr.pax = {{"SCHILY.xattr.user.a", std::string(70000, 'x')}};
  Item many_xattrs;
  many_xattrs.name = "x";
  for (int i = 0; i < 300; ++i) many_xattrs.pax[absl::StrCat("SCHILY.xattr.user.a", i)] = "v";
  Item pax_bomb;
  pax_bomb.name = "x";
  pax_bomb.pax = {{"comment", std::string(2 << 20, 'x')}};
  Item long_name;
  long_name.name = "x";
  long_name.pax = {{"path", std::string(300, 'n')}};
  Item long_path;
  long_path.name = "x";
  std::string deep;
  for (int i = 0; i < 2100; ++i) deep += "a/";
  long_path.pax = {{"path", deep}};
  Item no_name;
  no_name.name = "x";
  no_name.pax = {{"path", ""}};
  TarBuilder many;
  for (int i = 0; i < 1001; ++i) many.File(absl::StrCat("f", i));
  TarBuilder same;
  for (int i = 0; i < 1001; ++i) same.File("same");
  const Hostile cases[] = {
      {"climb", TarBuilder().File("../canary", "dead"), "climbs"},
      {"climb later", TarBuilder().File("a/../../canary", "dead"), "climbs"},
      {"climb inside", TarBuilder().File("a/../b", "x"), "climbs"},
      {"climbing directory", TarBuilder().Dir("../x/"), "climbs"},
      {"hard link out", TarBuilder().HardLink("h", "../canary"), "climbs"},
      {"hard link to absolute", TarBuilder().HardLink("h", "/etc/passwd"), "does not hold"},
      {"hard link to lower layer", TarBuilder().HardLink("h", "bin/sh"), "does not hold"},
      {"hard link to directory", TarBuilder().Dir("d/").HardLink("h", "d"), "directory"},
      {"hard link to root", TarBuilder().HardLink("h", "/"), "root"},
      {"whiteout of nothing", TarBuilder().File(".wh."), "whiteout of no name"},
      {"whiteout of .", TarBuilder().File("a/.wh.."), "whiteout of no name"},
      {"whiteout of ..", TarBuilder().File("a/.wh..."), "whiteout of no name"},
      {"opaque as directory", TarBuilder().Dir(".wh..wh..opq/"), "no regular file"},
      {"below opaque", TarBuilder().File("a/.wh..wh..opq/x"), "below a whiteout"},
      {"below whiteout", TarBuilder().File(".wh.x/y"), "below a whiteout"},
      {"whiteout as link", TarBuilder().Symlink(".wh.x", "y"), "no regular file"},
      {"root as file", TarBuilder().File(".", "x"), "root is no directory"},
      {"root as link", TarBuilder().Symlink("/", "/etc"), "root is no directory"},
      {"file as parent", TarBuilder().File("f", "x").File("f/x", "y"), "ot a directory"},
      {"dangling link as parent", TarBuilder().Symlink("l", "/no").File("l/x", "y"), "mkdir"},
      {"link loop as parent", TarBuilder().Symlink("l", "l").File("l/x", "y"), "symbolic"},
      {"huge size", TarBuilder().Add(huge), ""},
      {"negative size", TarBuilder().Add(negative), ""},
      {"owner beyond 32 bits", TarBuilder().Add(uid), "out of range"},
      {"owner -1", TarBuilder().Add(minus_one), "out of range"},
      {"large xattr", TarBuilder().Add(big_xattr), "attribute"},
      {"many xattrs", TarBuilder().Add(many_xattrs), "attributes"},
      {"large pax header", TarBuilder().Add(pax_bomb), ""},
      {"long name", TarBuilder().Add(long_name), "longer than 255"},
      {"long path", TarBuilder().Add(long_path), "longer than 4096"},
      {"many inodes", many, "limit"},
      {"one name over and over", same, "limit"},
      {"empty link", TarBuilder().Symlink("l", ""), "target"},
  };
  for (const Hostile& item : cases) {
    SCOPED_TRACE(item.what);
    Fresh();
    Status status = Unpack(item.tar);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(item.message));
    EXPECT_FALSE(fs::exists(dir_ + "/x"));
  }
}

TEST_F(LayerTest, AcceptsOddButHarmless) {
  Item nul;
  nul.name = "x";
  nul.pax = {{"path", std::string("n\0b", 3)}};
  Item utf8;
  utf8.name = "x";
  utf8.pax = {{"path", "caf\xc3\xa9"}};
  Item invalid;
  invalid.name = "bad\xff\xfe";
  ASSERT_OK(Unpack(TarBuilder()
                       .File("/abs", "1")
                       .File("//./a///b", "2")
                       .Add(nul)
                       .Add(utf8)
                       .Add(invalid)
                       .File("Case", "up")
                       .File("case", "low")
                       .Add(Special("raw-whiteout", '3', 0, 0))));
  EXPECT_EQ(Text("abs") + Text("a/b"), "12");
  EXPECT_TRUE(Exists("caf\xc3\xa9"));
  EXPECT_TRUE(Exists("bad\xff\xfe"));
  EXPECT_EQ(Text("Case") + Text("case"), "uplow");
}

TEST_F(LayerTest, DetectsTruncation) {
  std::string whole = TarBuilder().File("f", std::string(5000, 'x')).bytes();
  for (size_t cut : {100u, 511u, 513u, 3000u, 5500u}) {
    Fresh();
    EXPECT_FALSE(Unpack(whole.substr(0, cut)).ok()) << cut;
  }
  Fresh();
  // Only padding or the end mark is missing: some writers do that.
  EXPECT_OK(Unpack(whole.substr(0, 512 + 5000)));
  EXPECT_EQ(Text("f").size(), 5000u);
  EXPECT_OK(Unpack(whole));
  EXPECT_OK(Unpack(TarBuilder().Finish()));
  EXPECT_OK(Unpack(""));
  EXPECT_FALSE(Unpack(std::string(2000, 'j')).ok());
}

TEST_F(LayerTest, WritesSparseFiles) {
  // GNU sparse 1.0 in a pax header: 1 MiB of which 4 bytes at 4096 are data.
  Item sparse;
  sparse.name = "GNUSparseFile.0/s";
  std::string map = "1\n4096\n4\n";
  sparse.data = map + std::string(512 - map.size(), '\0') + "DATA";
  sparse.pax = {{"GNU.sparse.major", "1"},
                {"GNU.sparse.minor", "0"},
                {"GNU.sparse.name", "s"},
                {"GNU.sparse.realsize", "1048576"}};
  ASSERT_OK(Unpack(TarBuilder().Add(sparse)));
  EXPECT_EQ(Stat("s").st_size, 1048576);
  EXPECT_LT(Stat("s").st_blocks, 64);
  EXPECT_EQ(Text("s").substr(4096, 4), "DATA");
  Fresh();
  sparse.pax["GNU.sparse.realsize"] = "1099511627776";
  EXPECT_THAT(Unpack(TarBuilder().Add(sparse)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit")));
}

}  // namespace
}  // namespace berth::images::unpack
