// A layer made file by file on top of a stack.
#include "solver/ops/layer_builder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "solver_fixture.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;

class LayerBuilderTest : public StateTest {
 protected:
  static Entry meta(uint32_t mode, EntryType type = EntryType::regular) {
    Entry out;
    out.type = type;
    out.mode = mode;
    out.mtime_sec = 1234;
    out.mtime_nsec = 5678;
    return out;
  }
  static void put(LayerBuilder& builder, const std::string& path, const std::string& content) {
    StringSource bytes(content);
    EXPECT_EQ(builder.put_file(path, meta(0644), bytes), Digest::of(content));
  }
  MergedIndex stack(const std::vector<LayerId>& ids) { return layers().merged(ids); }
};

TEST_F(LayerBuilderTest, TheCommittedIndexIsWhatIsOnDisk) {
  const MergedIndex empty = stack({});
  LayerBuilder builder(layers(), empty);
  builder.make_directories("a/b", meta(0750, EntryType::directory));
  put(builder, "a/b/f", "text");
  builder.put_hardlink("a/b/g", "a/b/f");
  Entry link = meta(0777, EntryType::symlink);
  link.link_target = "f";
  builder.put_other("a/b/l", link);
  const LayerId made = builder.commit();
  EXPECT_THAT(own(made), ElementsAre("d 750 0:0 a", "d 750 0:0 a/b", "f 644 0:0 a/b/f = text",
                                     "f 644 0:0 a/b/g = text", "l a/b/l -> f"));
  for (const char* path : {"/a/b", "/a", "/a/b/f", "/a/b/l"}) {
    struct stat info{};
    ASSERT_EQ(::lstat((layers().directory(made) + path).c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mtim.tv_sec, 1234) << path;
    EXPECT_EQ(info.st_mtim.tv_nsec, 5678) << path;
  }
}

TEST_F(LayerBuilderTest, FindSeesThisLayerThenTheOnesBelow) {
  const MergedIndex base = stack({layer({{.path = "d/low"}, {.path = "f", .content = "low"}})});
  LayerBuilder builder(layers(), base);
  put(builder, "f", "longer");
  EXPECT_EQ(builder.find("f")->size, 6u);
  EXPECT_NE(builder.find("d/low"), nullptr);
  EXPECT_EQ(builder.find("none"), nullptr);
}

TEST_F(LayerBuilderTest, AFilePutTwiceIsTheLastOne) {
  const MergedIndex empty = stack({});
  LayerBuilder builder(layers(), empty);
  put(builder, "f", "one");
  put(builder, "f", "two");
  EXPECT_THAT(own(builder.commit()), ElementsAre("f 644 0:0 f = two"));
}

TEST_F(LayerBuilderTest, DirectoriesAreNeverReplacedByFilesNorFilesByDirectories) {
  const MergedIndex base = stack({layer({{.path = "d/"}, {.path = "f"}})});
  LayerBuilder builder(layers(), base);
  EXPECT_THAT(error_of([&] { put(builder, "d", "x"); }),
              HasSubstr("cannot replace to directory /d with file"));
  EXPECT_THAT(error_of([&] { put(builder, "", "x"); }), HasSubstr("cannot replace to directory /"));
  EXPECT_THAT(error_of([&] { builder.make_directories("f/x", meta(0755)); }),
              HasSubstr("cannot copy to non-directory: /f"));
  EXPECT_THAT(error_of([&] { builder.put_directory("f", meta(0755), true); }),
              HasSubstr("cannot copy to non-directory: /f"));
}

TEST_F(LayerBuilderTest, ExistingDirectoriesChangeOnlyWhenAsked) {
  const MergedIndex base = stack({layer({{.path = "d/", .mode = 0711}})});
  LayerBuilder builder(layers(), base);
  EXPECT_FALSE(builder.put_directory("d", meta(0700), false));
  EXPECT_EQ(builder.find("d")->mode, 0711u);
  EXPECT_FALSE(builder.put_directory("d", meta(0700), true));
  EXPECT_EQ(builder.find("d")->mode, 0700u);
  EXPECT_TRUE(builder.put_directory("e", meta(0700), false));
  EXPECT_THAT(own(builder.commit()), ElementsAre("d 700 0:0 d", "d 700 0:0 e"));
}

TEST_F(LayerBuilderTest, AnAbandonedBuilderLeavesNothing) {
  {
    const MergedIndex empty = stack({});
    LayerBuilder builder(layers(), empty);
    put(builder, "f", "x");
  }
  EXPECT_TRUE(sys::list_dir(sys::open(state_->tmp(), O_RDONLY | O_DIRECTORY).get()).empty());
}

TEST_F(LayerBuilderTest, CanonicalPaths) {
  const MergedIndex base = stack({layer({{.path = "real/sub/"},
                                         {.path = "l", .link = "real"},
                                         {.path = "abs", .link = "/real/sub"},
                                         {.path = "up", .link = "../.."},
                                         {.path = "f"}})});
  LayerBuilder builder(layers(), base);
  const std::pair<const char*, const char*> followed[] = {
      {"/", ""},
      {"/a/b", "a/b"},
      {"/l/x", "real/x"},
      {"/abs/x", "real/sub/x"},
      {"/up/x", "x"},
      {"/l", "real"},
      {"/l/../x", "x"},
      {"/a/../b", "b"},
      {"/real/./sub/", "real/sub"},
      {"/../x", "x"},
  };
  for (const auto& [path, expected] : followed)
    EXPECT_EQ(builder.canonical(path, true, true), expected) << path;
  EXPECT_EQ(builder.canonical("/l", true, false), "l");
  EXPECT_EQ(builder.canonical("/l/l", true, false), "real/l");
  // COPY --link: nothing resolves, so a link in the middle is in the way.
  EXPECT_EQ(builder.canonical("/l", false, false), "l");
  EXPECT_THAT(error_of([&] { builder.canonical("/l/x", false, false); }),
              HasSubstr("non-directory: /l"));
  EXPECT_THAT(error_of([&] { builder.canonical("/f/x", true, true); }),
              HasSubstr("non-directory: /f"));
}

}  // namespace
}  // namespace lade
