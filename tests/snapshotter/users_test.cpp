#include "snapshotter/tree/users.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "layers.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace testing_layers;

class UsersTest : public testing::Test {
 protected:
  UserSpec user(std::string_view spec) { return resolve_user(spec, image(), opener()); }
  ChownSpec chown(std::string_view spec) { return resolve_chown(spec, image(), opener()); }

  std::string failure(std::string_view spec) {
    try {
      user(spec);
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  }

  MergedIndex image() const {
    return MergedIndex(
        {layer({file("etc/group"), file("run/passwd"), link("etc/passwd", "/run/passwd")})});
  }

  OpenFound opener() {
    return [this](const Found& found) {
      const std::string& text = found.path == "etc/group" ? group_ : passwd_;
      UniqueFd fd = sys::open("/tmp", O_RDWR | O_TMPFILE, 0600);
      sys::write_all(fd.get(), text);
      ::lseek(fd.get(), 0, SEEK_SET);
      return fd;
    };
  }

  std::string passwd_ =
      "root:x:0:0:root:/root:/bin/sh\n"
      "\n"
      "app:x:1000:1001:,,,:/home/app:/bin/sh\n"
      "odd:x:zz\n"
      "huge:x:99999999999:1:\n"
      "1000:x:7:7::/:\n"
      "last:x:9:9";
  std::string group_ =
      "root:x:0:\n"
      "# comment:x:5:app\n"
      "audio:x:29:app,other\n"
      "own:x:1001:app\n"
      "video:x:44:other,app";
};

TEST_F(UsersTest, NamesBringTheirGroups) {
  EXPECT_EQ(user("app"), (UserSpec{1000, 1001, {1001, 29, 44}}));
  EXPECT_EQ(user("last"), (UserSpec{9, 9, {9}}));
}

TEST_F(UsersTest, AGivenGroupDropsTheSupplementaryOnes) {
  EXPECT_EQ(user("app:video"), (UserSpec{1000, 44, {44}}));
  EXPECT_EQ(user("app:5"), (UserSpec{1000, 5, {5}}));
  EXPECT_EQ(user("app:"), (UserSpec{1000, 1001, {1001, 29, 44}}));
}

TEST_F(UsersTest, NumbersAreIdsAndNeverNames) {
  EXPECT_EQ(user("1000"), (UserSpec{1000, 1001, {1001, 29, 44}}));
  EXPECT_EQ(user("555"), (UserSpec{555, 0, {0}}));
  EXPECT_EQ(user("555:audio"), (UserSpec{555, 29, {29}}));
  EXPECT_EQ(user("1:2"), (UserSpec{1, 2, {2}}));
}

TEST_F(UsersTest, NoUserIsRoot) {
  EXPECT_EQ(user(""), (UserSpec{0, 0, {0}}));
  passwd_.clear();
  EXPECT_EQ(user(""), (UserSpec{0, 0, {0}}));
}

TEST_F(UsersTest, UnknownNamesAndWildNumbersAreErrors) {
  EXPECT_EQ(failure("nobody"), "unable to find user nobody: no matching entries in passwd file");
  EXPECT_EQ(failure("app:none"), "unable to find group none: no matching entries in group file");
  EXPECT_THAT(failure("2147483648"), HasSubstr("out of range"));
  EXPECT_THAT(failure("-1"), HasSubstr("out of range"));
  EXPECT_THAT(failure("huge"), HasSubstr("out of range"));
  EXPECT_EQ(user("odd"), (UserSpec{0, 0, {0}}));
}

TEST_F(UsersTest, AnImageWithoutFilesKnowsNobody) {
  const MergedIndex scratch({});
  EXPECT_EQ(resolve_user("7", scratch, nullptr), (UserSpec{7, 0, {0}}));
  EXPECT_THROW(resolve_user("app", scratch, nullptr), Error);
  EXPECT_THAT(resolve_chown("app", scratch, nullptr).unknown, ElementsAre("app"));
}

TEST_F(UsersTest, PurelyNumericAnswersNeedNoImage) {
  EXPECT_EQ(numeric_user("3:4"), (UserSpec{3, 4, {4}}));
  EXPECT_EQ(numeric_user("root:root"), (UserSpec{0, 0, {0}}));
  EXPECT_FALSE(numeric_user("3"));
  EXPECT_FALSE(numeric_user("a:4"));
  EXPECT_EQ(numeric_chown("3"), (ChownSpec{3, 3, {}}));
  EXPECT_EQ(numeric_chown("3:4"), (ChownSpec{3, 4, {}}));
  EXPECT_EQ(numeric_chown("root"), (ChownSpec{0, 0, {}}));
  EXPECT_FALSE(numeric_chown("3:a"));
}

TEST_F(UsersTest, ChownTakesTheUsersGroupUnlessOneIsGiven) {
  EXPECT_EQ(chown("app"), (ChownSpec{1000, 1001, {}}));
  EXPECT_EQ(chown("app:audio"), (ChownSpec{1000, 29, {}}));
  EXPECT_EQ(chown("app:3"), (ChownSpec{1000, 3, {}}));
  EXPECT_EQ(chown("55"), (ChownSpec{55, 55, {}}));
  EXPECT_EQ(chown("55:video"), (ChownSpec{55, 44, {}}));
}

TEST_F(UsersTest, ChownReportsNamesItDoesNotKnow) {
  EXPECT_EQ(chown("nobody:none"), (ChownSpec{0, 0, {"nobody", "none"}}));
  EXPECT_EQ(chown("app:none"), (ChownSpec{1000, 1001, {"none"}}));
  EXPECT_EQ(chown(":audio"), (ChownSpec{0, 29, {}}));
}

TEST_F(UsersTest, HugeFilesAreRefused) {
  passwd_ = std::string(11 << 20, 'x');
  EXPECT_THAT(failure("app"), HasSubstr("/passwd"));
}

}  // namespace
}  // namespace lade
