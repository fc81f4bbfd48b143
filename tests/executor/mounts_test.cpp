#include "solver/executor/child/mounts.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/child/overlay.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::SandboxTest;
using testing::write_text;

class MountsTest : public SandboxTest {
 protected:
  ExecSpec with_mount(const std::string& script, Mount mount) const {
    auto spec = sh(script);
    spec.mounts.push_back(std::move(mount));
    return spec;
  }
  static Mount bind(const std::string& source, const std::string& target) {
    Mount mount;
    mount.source = source;
    mount.target = target;
    return mount;
  }
  static ExecSpec with_file(ExecSpec spec, const std::string& target, const std::string& content) {
    EphemeralFile file;
    file.target = target;
    file.content = content;
    spec.files.push_back(file);
    return spec;
  }
};

TEST_F(MountsTest, WritesToAnOverlayGoToItsUpperDirectory) {
  auto spec = sh("echo new > /etc/new; rm /etc/old; cat /etc/kept");
  ASSERT_TRUE(write_text(root() + "/etc/old", ""));
  ASSERT_TRUE(write_text(root() + "/etc/kept", "kept"));
  spec.rootfs = overlay({});
  EXPECT_EQ(output_of(spec), "kept");
  EXPECT_EQ(testing::read_text(upper() + "/etc/new"), "new\n");
  EXPECT_TRUE(fs::is_character_file(upper() + "/etc/old"));
  EXPECT_FALSE(fs::exists(root() + "/etc/new"));
  // Nothing of the sandbox's own making.
  EXPECT_EQ(std::distance(fs::directory_iterator(upper()), fs::directory_iterator()), 1);
}

TEST_F(MountsTest, OverlaysAreVolatile) {
  // The kernel shows only those of the other options that differ from how it was built.
  auto spec = sh("grep ' / ' /proc/self/mounts");
  spec.rootfs = overlay({});
  EXPECT_THAT(output_of(spec), HasSubstr("volatile"));
}

TEST_F(MountsTest, TheFirstLowerIsTheTopMost) {
  make_dir("a/etc");
  make_dir("b/etc");
  ASSERT_TRUE(write_text(dir() + "/a/etc/name", "a"));
  ASSERT_TRUE(write_text(dir() + "/b/etc/name", "b"));
  auto spec = sh("cat /etc/name");
  spec.rootfs = overlay({"a", "b"});
  EXPECT_EQ(output_of(spec), "a");
}

TEST_F(MountsTest, ThreeHundredLowersWork) {
  std::vector<std::string> lowers;
  for (int i = 0; i < 300; ++i) {
    lowers.push_back(fmt::format("layer-{}", i));
    ASSERT_TRUE(write_text(make_dir(lowers.back()) + fmt::format("/f{}", i), ""));
  }
  auto spec = sh("ls -d /f* | wc -l");
  spec.rootfs = overlay(lowers);
  EXPECT_EQ(output_of(spec), "300\n");
}

TEST_F(MountsTest, LayerNamesMayBeLongAndHaveOverlaysOwnPunctuation) {
  const std::string odd = "a:b,c\\d=" + std::string(200, 'n');
  ASSERT_TRUE(write_text(make_dir(odd) + "/odd", "found"));
  auto spec = sh("cat /odd");
  spec.rootfs = overlay({odd});
  EXPECT_EQ(output_of(spec), "found");
}

/// Mounts in a forked child's own namespace with the given interface; what `look` says about the
/// mount.
std::string look_at_overlay(const Mount& mount, sandbox::OverlayApi api, const std::string& file) {
  sys::Pipe pipe = sys::pipe();
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::string answer;
    try {
      if (::unshare(CLONE_NEWNS) != 0) throw_errno("unshare");
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
      sandbox::Staging staging;
      const UniqueFd tree = sandbox::open_overlay(mount, staging, api);
      answer = sys::read_file_at(tree.get(), file).value_or("(none)");
    } catch (const std::exception& error) {
      answer = error.what();
    }
    sys::write_all(pipe.write.get(), answer);
    ::_exit(0);
  }
  ::waitpid(pid, nullptr, 0);
  char buffer[4096];
  pipe.write.reset();
  return {buffer, sys::read_some(pipe.read.get(), buffer, sizeof buffer)};
}

/// Those that this kernel has.
std::vector<sandbox::OverlayApi> apis() {
  std::vector<sandbox::OverlayApi> out = {sandbox::OverlayApi::option_string};
  if (sandbox::best_overlay_api() != out[0]) out.push_back(sandbox::best_overlay_api());
  return out;
}

TEST_F(MountsTest, BothInterfacesMountFiveHundredLayers) {
  Mount mount = overlay({});
  mount.lowers.clear();
  for (int i = 0; i < 499; ++i) {
    mount.lowers.push_back(fmt::format("layer:with-a-longer-name-{}", i));
    make_dir(mount.lowers.back());
  }
  ASSERT_TRUE(write_text(dir() + "/" + mount.lowers.back() + "/bottom", "reached"));
  for (const auto api : apis()) {
    mount.work = make_dir(fmt::format("work-{}", static_cast<int>(api)));  // volatile: once only
    EXPECT_EQ(look_at_overlay(mount, api, "bottom"), "reached") << static_cast<int>(api);
  }
}

TEST_F(MountsTest, AReadOnlyViewOfOneLayerHidesItsWhiteouts) {
  make_dir("one/sub");
  ASSERT_EQ(::mknod((dir() + "/one/gone").c_str(), S_IFCHR, makedev(0, 0)), 0);
  ASSERT_TRUE(write_text(dir() + "/one/here", "here"));
  Mount mount;
  mount.kind = MountKind::overlay;
  mount.lowers = {"one"};
  mount.lower_base = dir();
  mount.target = "/tmp";
  EXPECT_EQ(output_of(with_mount("cd /tmp; echo *", mount)), "here sub\n");
  EXPECT_NE(run(with_mount("touch /tmp/x", mount)).result.exit_code, 0);
  for (const auto api : apis()) {
    EXPECT_EQ(look_at_overlay(mount, api, "here"), "here");
  }
}

TEST_F(MountsTest, AnOverlaysSubpathAppearsAtTheTarget) {
  make_dir("one/sub");
  ASSERT_TRUE(write_text(dir() + "/one/sub/file", "content"));
  Mount mount;
  mount.kind = MountKind::overlay;
  mount.lowers = {"one"};
  mount.lower_base = dir();
  mount.target = "/tmp";
  mount.subpath = "/sub";
  EXPECT_EQ(output_of(with_mount("cat /tmp/file", mount)), "content");
  mount.subpath = "sub/none";
  EXPECT_THAT(run(with_mount("true", mount)).result.setup_error, HasSubstr("'sub/none'"));
}

TEST_F(MountsTest, BindsAreWritableUnlessReadOnly) {
  const auto source = make_dir("source");
  auto mount = bind(source, "/tmp");
  EXPECT_EQ(output_of(with_mount("echo x > /tmp/written", mount)), "");
  EXPECT_TRUE(fs::exists(source + "/written"));
  mount.read_only = true;
  const auto finished = run(with_mount("touch /tmp/other", mount));
  EXPECT_NE(finished.result.exit_code, 0);
  EXPECT_THAT(finished.err, HasSubstr("Read-only file system"));
}

TEST_F(MountsTest, AReadOnlyBindCoversTheMountsBelowIt) {
  const auto source = make_dir("source");
  make_dir("source/below");
  ASSERT_EQ(::mount("none", (source + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  auto mount = bind(source, "/tmp");
  mount.read_only = true;
  const auto finished =
      run(with_mount("grep -c /tmp/below /proc/self/mounts; touch /tmp/below/x", mount));
  ::umount2((source + "/below").c_str(), MNT_DETACH);
  EXPECT_EQ(finished.out, "1\n");
  EXPECT_NE(finished.result.exit_code, 0);
}

TEST_F(MountsTest, FilesCanBeBound) {
  ASSERT_TRUE(write_text(dir() + "/file", "of the host"));
  ASSERT_TRUE(write_text(root() + "/etc/stub", ""));
  EXPECT_EQ(output_of(with_mount("cat /etc/stub", bind(dir() + "/file", "/etc/stub"))),
            "of the host");
}

TEST_F(MountsTest, ASubpathStaysInsideItsTree) {
  const auto source = make_dir("source");
  ASSERT_TRUE(write_text(dir() + "/secret", "secret"));
  make_dir("source/inner");
  fs::create_symlink("../../secret", source + "/escape");
  fs::create_symlink("/inner", source + "/absolute");
  ASSERT_TRUE(write_text(source + "/inner/file", "inner"));
  ASSERT_TRUE(write_text(root() + "/etc/stub", ""));

  auto mount = bind(source, "/tmp");
  mount.subpath = "absolute";
  EXPECT_EQ(output_of(with_mount("cat /tmp/file", mount)), "inner");
  for (const char* escape : {"escape", "../secret", "/../../secret"}) {
    mount.subpath = escape;
    mount.target = "/etc/stub";
    EXPECT_NE(run(with_mount("cat /etc/stub", mount)).result.setup_error, "") << escape;
  }
}

TEST_F(MountsTest, ASymlinkInTheImageCannotLeadAMountOut) {
  const auto victim = make_dir("victim");
  const auto source = make_dir("source");
  ASSERT_TRUE(write_text(source + "/payload", ""));
  fs::create_symlink(victim, root() + "/absolute");
  fs::create_symlink("../../../../../../../.." + victim, root() + "/relative");
  for (const char* target : {"/absolute", "/relative", "/../../victim"}) {
    const auto finished = run(with_mount("true", bind(source, target)));
    EXPECT_THAT(finished.result.setup_error, HasSubstr("the target does not exist")) << target;
  }
  // With the same path inside the image, it is that one.
  fs::create_directories(root() + victim);
  EXPECT_EQ(output_of(with_mount("ls " + victim, bind(source, "/absolute"))), "payload\n");
  EXPECT_TRUE(fs::is_empty(victim));
}

TEST_F(MountsTest, TargetsThatDoNotFitAreClearErrors) {
  const auto source = make_dir("source");
  ASSERT_TRUE(write_text(root() + "/etc/file", ""));
  const auto error = [&](const Mount& mount) {
    const auto finished = run(with_mount("true", mount));
    EXPECT_EQ(finished.result.exit_code, 125);
    return finished.result.setup_error;
  };
  EXPECT_EQ(error(bind(source, "/none")),
            "could not mount at '/none': the target does not exist in the root filesystem");
  EXPECT_EQ(error(bind(source, "/etc/file")),
            "could not mount at '/etc/file': the target is a file and what is to be mounted is a "
            "directory");
  EXPECT_EQ(error(bind(source, "/")),
            "could not mount at '/': the target is the root filesystem itself");
  EXPECT_THAT(error(bind(dir() + "/missing", "/tmp")), HasSubstr("/missing"));
}

TEST_F(MountsTest, TmpfsHasItsSizeAndMode) {
  Mount mount;
  mount.kind = MountKind::tmpfs;
  mount.target = "/tmp";
  mount.size_bytes = 5u << 20;
  mount.mode = 01770;
  const auto out =
      output_of(with_mount("stat -c %a /tmp; df -k /tmp | tr -s ' '; touch /tmp/x", mount));
  EXPECT_THAT(out, ::testing::StartsWith("1770\n"));
  EXPECT_THAT(out, HasSubstr(" 5120 "));
  EXPECT_TRUE(fs::is_empty(root() + "/tmp"));
}

TEST_F(MountsTest, LaterMountsLieOnEarlierOnes) {
  make_dir("source/inner");
  auto spec = with_mount("echo /tmp/*; touch /tmp/inner/x", bind(dir() + "/source", "/tmp"));
  Mount inner;
  inner.kind = MountKind::tmpfs;
  inner.target = "/tmp/inner";
  spec.mounts.push_back(inner);
  EXPECT_EQ(output_of(spec), "/tmp/inner\n");
  EXPECT_TRUE(fs::is_empty(dir() + "/source/inner"));
}

TEST_F(MountsTest, EphemeralFilesHaveContentOwnerAndMode) {
  ASSERT_TRUE(write_text(root() + "/etc/secret", ""));
  auto spec =
      with_file(sh("cat /etc/secret; stat -c '%a %u %g' /etc/secret"), "/etc/secret", "s3cret\n");
  spec.files[0].mode = 0400;
  spec.files[0].uid = 12;
  spec.files[0].gid = 34;
  EXPECT_EQ(output_of(spec), "s3cret\n400 12 34\n");
  EXPECT_EQ(testing::read_text(root() + "/etc/secret"), "");
}

TEST_F(MountsTest, EphemeralFilesAreWritableUnlessReadOnlyAndNeverReachTheRoot) {
  ASSERT_TRUE(write_text(root() + "/etc/hosts", ""));
  auto spec = with_file(sh("echo more >> /etc/hosts; cat /etc/hosts"), "/etc/hosts", "first\n");
  EXPECT_EQ(output_of(spec), "first\nmore\n");
  EXPECT_EQ(testing::read_text(root() + "/etc/hosts"), "");
  spec.files[0].read_only = true;
  EXPECT_THAT(run(spec).err, HasSubstr("Read-only file system"));
}

TEST_F(MountsTest, EphemeralFilesLieOnATmpfs) {
  ASSERT_TRUE(write_text(root() + "/etc/hosts", ""));
  const auto out =
      output_of(with_file(sh("grep ' /etc/hosts ' /proc/self/mounts"), "/etc/hosts", "x"));
  EXPECT_THAT(out, ::testing::StartsWith("none /etc/hosts tmpfs rw,nosuid,nodev"));
}

TEST_F(MountsTest, AnEphemeralFileNeedsItsTarget) {
  EXPECT_EQ(
      run(with_file(sh("true"), "/etc/none", "")).result.setup_error,
      "could not make the file '/etc/none': the target does not exist in the root filesystem");
}

TEST_F(MountsTest, AReadOnlyRootCannotBeWritten) {
  auto spec = sh("touch /new");
  spec.rootfs.read_only = true;
  EXPECT_THAT(run(spec).err, HasSubstr("Read-only file system"));
}

TEST_F(MountsTest, AnOverlayThatCannotBeMountedSaysWhy) {
  auto spec = sh("true");
  spec.rootfs = overlay({"missing"});
  EXPECT_THAT(run(spec).result.setup_error, HasSubstr("could not mount the root filesystem"));
  EXPECT_THAT(run(spec).result.setup_error, HasSubstr("missing"));
  const std::string missing = fmt::format("'{}/missing': No such file or directory", dir());
  ASSERT_TRUE(write_text(dir() + "/file", ""));
  const std::string file = fmt::format("'{}/file' is not a directory", dir());
  const auto by_options = sandbox::OverlayApi::option_string;
  EXPECT_THAT(look_at_overlay(overlay({"missing"}), by_options, "x"), HasSubstr(missing));
  EXPECT_THAT(look_at_overlay(overlay({"file"}), by_options, "x"), HasSubstr(file));
  Mount mount = overlay({});
  mount.upper = dir() + "/missing";
  EXPECT_THAT(look_at_overlay(mount, by_options, "x"), HasSubstr(missing));
}

TEST_F(MountsTest, AReadOnlyMountCoversOddlyNamedMountsBelowItAndKeepsWhatTheyHave) {
  const auto source = make_dir("source");
  const std::string odd = make_dir("source/a b\\c\nd");
  ASSERT_EQ(::mount("none", odd.c_str(), "tmpfs", MS_NOEXEC | MS_NOATIME, nullptr), 0);
  make_dir("source/a b\\c\nd/inner");
  ASSERT_EQ(::mount("none", (odd + "/inner").c_str(), "tmpfs", MS_NOSUID, nullptr), 0);
  auto mount = bind(source, "/tmp");
  mount.read_only = true;
  const auto out = output_of(
      with_mount("cd /tmp/a*; touch x inner/x 2>&1; grep ' /tmp' /proc/self/mounts", mount));
  ::umount2(odd.c_str(), MNT_DETACH);
  EXPECT_THAT(out, HasSubstr("touch: x: Read-only file system"));
  EXPECT_THAT(out, HasSubstr("touch: inner/x: Read-only file system"));
  EXPECT_THAT(out, HasSubstr("d tmpfs ro,nodev,noexec,noatime"));
  EXPECT_THAT(out, HasSubstr("inner tmpfs ro,nosuid,nodev"));
}

}  // namespace
}  // namespace lade
