#include <gmock/gmock.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/exporter/exporter_fixture.hpp"

namespace lade {
namespace {

class LocalExportTest : public ExporterTest {
 protected:
  struct stat stat_of(const std::string& path) { return *sys::lstatat(AT_FDCWD, out(path)); }

  /// Of one layer with a file in /bin or at the top.
  ImageSource image_with(const std::string& path, const std::string& text) {
    return source_of({layer([&](const std::string& root) {
      sys::make_dirs(root + "/bin");
      write_text(root + "/" + path, text);
    })});
  }
};

TEST_F(LocalExportTest, WritesTheMergedTree) {
  export_local(*state_, source_of(sample_stack()), out("new/tree"));
  EXPECT_EQ(sys::read_file(out("new/tree/etc/new")), "new");
  EXPECT_FALSE(std::filesystem::exists(out("new/tree/etc/gone")));
  EXPECT_EQ(stat_of("new/tree/bin/tool").st_mode & 07777, 04755u);
  EXPECT_EQ(stat_of("new/tree/bin/tool").st_size, 200'000);
  EXPECT_EQ(stat_of("new/tree/bin/tool").st_mtime, 1'700'000'000);
  EXPECT_EQ(stat_of("new/tree/bin/tool").st_ino, stat_of("new/tree/bin/tool-link").st_ino);
  EXPECT_EQ(std::filesystem::read_symlink(out("new/tree/bin/sym")), "tool");
  EXPECT_EQ(stat_of("new/tree/bin").st_mtime, 1'600'000'001);
  EXPECT_TRUE(S_ISFIFO(stat_of("new/tree/pipe").st_mode));
  EXPECT_EQ(stat_of("new/tree/pipe").st_mode & 07777, 0640u);
  EXPECT_TRUE(S_ISCHR(stat_of("new/tree/null").st_mode));
  EXPECT_EQ(stat_of("new/tree/null").st_rdev, makedev(1, 3));
  EXPECT_EQ(stat_of("new/tree/etc/passwd").st_uid, geteuid());
}

TEST_F(LocalExportTest, KeepsWhatIsThereAndReplacesWhatIsInTheWay) {
  sys::make_dirs(out("tree/etc/new"));  // a directory where a file comes
  write_text(out("tree/etc/new/x"), "x");
  write_text(out("tree/bin"), "a file");  // a file where a directory comes
  write_text(out("tree/other"), "stays");
  write_text(out("tree/empty"), "not empty");
  export_local(*state_, source_of(sample_stack()), out("tree"));
  EXPECT_EQ(sys::read_file(out("tree/etc/new")), "new");
  EXPECT_EQ(stat_of("tree/bin/tool").st_size, 200'000);
  EXPECT_EQ(sys::read_file(out("tree/other")), "stays");
  EXPECT_EQ(sys::read_file(out("tree/empty")), "");
}

TEST_F(LocalExportTest, FollowsNoSymlinkInTheDestination) {
  sys::make_dirs(out("outside"));
  sys::make_dirs(out("tree"));
  write_text(out("outside/victim"), "safe");
  symlink(out("outside").c_str(), out("tree/etc").c_str());
  symlink(out("outside/victim").c_str(), out("tree/empty").c_str());
  export_local(*state_, source_of(sample_stack()), out("tree"));
  EXPECT_EQ(sys::read_file(out("outside/victim")), "safe");
  EXPECT_EQ(sys::list_dir(sys::open(out("outside"), O_RDONLY).get()),
            std::vector<std::string>{"victim"});
  EXPECT_TRUE(S_ISDIR(stat_of("tree/etc").st_mode));
  EXPECT_TRUE(S_ISREG(stat_of("tree/empty").st_mode));
}

TEST_F(LocalExportTest, TwiceGivesTheSameAndNoTemporaries) {
  const ImageSource source = source_of(sample_stack());
  export_local(*state_, source, out("tree"));
  export_local(*state_, source, out("tree"));
  EXPECT_EQ(output_of("find " + out("tree") + " -name '.lade-*'"), "");
  EXPECT_EQ(stat_of("tree/bin/tool").st_nlink, 2u);
  export_local(*state_, source, out("again"));
  EXPECT_EQ(shell("diff -r --no-dereference " + out("tree/etc") + " " + out("again/etc")), 0);
}

TEST_F(LocalExportTest, EpochIsEveryTime) {
  export_local(*state_, source_of(sample_stack()), out("tree"), Timestamp{1'111'111'111, 0});
  EXPECT_EQ(stat_of("tree/bin").st_mtime, 1'111'111'111);
  EXPECT_EQ(stat_of("tree/bin/sym").st_mtime, 1'111'111'111);
  EXPECT_EQ(stat_of("tree/etc/new").st_mtime, 1'111'111'111);
}

TEST_F(LocalExportTest, XattrsAndSparseFilesAreKept) {
  const LayerId only = layer([](const std::string& root) {
    write_text(root + "/file", "x");
    ASSERT_EQ(setxattr((root + "/file").c_str(), "user.note", "hello", 5, 0), 0);
    const UniqueFd fd = sys::open(root + "/sparse", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(pwrite(fd.get(), "data", 4, 5 << 20), 4);
    ASSERT_EQ(ftruncate(fd.get(), 10 << 20), 0);
  });
  export_local(*state_, source_of({only}), out("tree"));
  char value[8] = {};
  EXPECT_EQ(getxattr(out("tree/file").c_str(), "user.note", value, sizeof value), 5);
  EXPECT_STREQ(value, "hello");
  EXPECT_EQ(stat_of("tree/sparse").st_size, 10 << 20);
  EXPECT_LT(stat_of("tree/sparse").st_blocks * 512, 1 << 20);
  EXPECT_EQ(sys::read_file(out("tree/sparse"))->substr(5 << 20, 4), "data");
}

TEST_F(LocalExportTest, AFileAsDestinationIsRefused) {
  write_text(out("file"), "old");
  EXPECT_THROW(export_local(*state_, source_of(sample_stack()), out("file")), Error);
  EXPECT_THROW(check_output_directory(out("file/below")), Error);
  EXPECT_EQ(sys::read_file(out("file")), "old");
}

TEST_F(LocalExportTest, FetchesBaseLayersThatAreNotHere) {
  const auto image =
      write_image(*state_, source_of(sample_stack()), options_of(LayerCompression::gzip));
  const auto old = std::exchange(state_, StateDir::open(out("other-state")));
  ImageSource source = source_of({});
  for (size_t i = 0; i < image.layers.size(); ++i) {
    source.layers.push_back(
        state_->layers().add_known(image.parsed_config.diff_ids[i], image.layers[i]));
  }
  const auto provider = std::make_shared<CountingProvider>(old->content());
  source.provider = [&](LayerId) { return provider; };
  export_local(*state_, source, out("tree"));
  EXPECT_EQ(sys::read_file(out("tree/etc/new")), "new");
  EXPECT_EQ(provider->opened, 3);
}

TEST_F(LocalExportTest, RootfsTarHasOwnersAndLinksAndNoWhiteouts) {
  export_rootfs_tar(*state_, source_of(sample_stack()), out("root.tar"));
  const std::string list = output_of("TZ=UTC tar --numeric-owner -tvf " + out("root.tar"));
  EXPECT_NE(list.find("12/34"), std::string::npos) << list;
  EXPECT_NE(list.find("bin/tool-link link to bin/tool"), std::string::npos) << list;
  EXPECT_EQ(list.find("gone"), std::string::npos) << list;
  EXPECT_EQ(list.find(".wh."), std::string::npos) << list;
  EXPECT_NE(list.find("crw-rw-rw- 0/0             1,3"), std::string::npos) << list;
}

TEST_F(LocalExportTest, RootfsTarIsTheSameEachTimeAndAnEpochIsEveryTime) {
  const ImageSource source = source_of(sample_stack());
  export_rootfs_tar(*state_, source, out("a.tar"), Timestamp{1'111'111'111, 0});
  export_rootfs_tar(*state_, source, out("b.tar"), Timestamp{1'111'111'111, 0});
  EXPECT_TRUE(sys::read_file(out("a.tar")) == sys::read_file(out("b.tar")));
  const std::string list = output_of("TZ=UTC tar tvf " + out("a.tar"));
  EXPECT_EQ(static_cast<size_t>(std::count(list.begin(), list.end(), '\n')),
            static_cast<size_t>(
                std::stoul(output_of("TZ=UTC tar tvf " + out("a.tar") + " | grep -c 2005-03-18"))));
}

TEST_F(LocalExportTest, HardLinksOfDifferentLayersStayApart) {
  LayerStack stack;
  for (const char* name : {"a", "b"}) {
    stack.push_back(layer(
        [&](const std::string& root) {
          write_text(root + "/" + name, name);
          link((root + "/" + name).c_str(), (root + "/" + name + "2").c_str());
        },
        stack));
  }
  export_local(*state_, source_of(stack), out("tree"));
  EXPECT_EQ(sys::read_file(out("tree/a2")), "a");
  EXPECT_EQ(sys::read_file(out("tree/b2")), "b");
  export_rootfs_tar(*state_, source_of(stack), out("root.tar"));
  EXPECT_EQ(output_of("tar xOf " + out("root.tar") + " b"), "b");
}

TEST_F(LocalExportTest, TreesOfSeveralImagesAreJoined) {
  const ImageSource first = image_with("bin/amd64", "a");
  const ImageSource second = image_with("bin/arm64", "b");
  export_local(*state_, std::vector<NamedSource>{{"", &first}, {"", &second}}, out("over"));
  EXPECT_EQ(sys::read_file(out("over/bin/amd64")), "a");
  EXPECT_EQ(sys::read_file(out("over/bin/arm64")), "b");
  export_local(*state_, std::vector<NamedSource>{{"one", &first}, {"two", &first}}, out("beside"));
  EXPECT_EQ(sys::read_file(out("beside/one/bin/amd64")), "a");
  EXPECT_EQ(sys::read_file(out("beside/two/bin/amd64")), "a");
}

TEST_F(LocalExportTest, TwoTreesCannotHaveTheSameFile) {
  const ImageSource first = image_with("app", "a");
  const ImageSource second = image_with("app", "b");
  try {
    export_local(*state_, std::vector<NamedSource>{{"", &first}, {"", &second}}, out("over"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("cannot overwrite app from "));
  }
  EXPECT_EQ(sys::read_file(out("over/app")), std::nullopt);
}

}  // namespace
}  // namespace lade
