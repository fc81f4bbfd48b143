#include "base/error.hpp"

#include <cerrno>

#include <gtest/gtest.h>

namespace lade {
namespace {

SourceRange range(int first, int last) {
  return {
      std::make_shared<const SourceFile>(SourceFile{"Dockerfile", "one\ntwo\r\nthree\nfour\nfive"}),
      first, last};
}

TEST(ErrorTest, GathersContextWhileUnwinding) {
  int computed = 0;
  const auto context = [&] {
    ++computed;
    return std::string("outer");
  };
  EXPECT_EQ(with_context(context, [] { return 5; }), 5);
  EXPECT_EQ(computed, 0);
  try {
    with_context(context,
                 [] { with_context("inner", [] { throw Error("cause", ErrorKind::usage); }); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "outer: inner: cause");
    EXPECT_EQ(error.kind(), ErrorKind::usage);
  }
  EXPECT_EQ(computed, 1);
}

TEST(ErrorTest, AFullDiskComesWithAHint) {
  for (const int full : {ENOSPC, EDQUOT}) {
    EXPECT_EQ(Error::from_errno(full, "could not write 'x'").hint(), kRoomHint);
  }
  EXPECT_EQ(Error::from_errno(EIO, "could not write 'x'").hint(), "");
}

TEST(ErrorTest, OtherExceptionsPassUnchanged) {
  EXPECT_THROW(with_context("x", [] { throw std::runtime_error("y"); }), std::runtime_error);
}

TEST(ErrorTest, TheInnermostRangeWins) {
  Error error("x");
  error.add_range(range(2, 3));
  error.add_range(range(1, 9));
  EXPECT_EQ(error.range()->first_line, 2);
}

TEST(ErrorTest, ErrnoGivesTextCodeAndKind) {
  const Error missing = Error::from_errno(ENOENT, "could not open 'x'");
  EXPECT_EQ(missing.message(), "could not open 'x': No such file or directory");
  EXPECT_EQ(missing.errno_code(), ENOENT);
  EXPECT_EQ(missing.kind(), ErrorKind::not_found);
  EXPECT_EQ(Error::from_errno(EACCES, "x").kind(), ErrorKind::general);
}

TEST(ErrorTest, ErrorAtHasItsPlaceAndHint) {
  const Error error = error_at(range(1, 1), "wrong", "do it right");
  EXPECT_EQ(error.hint(), "do it right");
  EXPECT_EQ(error.range()->first_line, 1);
}

TEST(Quoted, EscapesWhatCouldMislead) {
  EXPECT_EQ(quoted("plain"), "'plain'");
  EXPECT_EQ(quoted("it's\\"), "'it\\'s\\\\'");
  EXPECT_EQ(quoted("a\nb\tc\x1b[0m\x7f"), "'a\\nb\\tc\\x1b[0m\\x7f'");
  EXPECT_EQ(quoted("gr\xc3\xbc\xc3\x9f"), "'gr\xc3\xbc\xc3\x9f'");
}

TEST(SourceRangeTest, NamesFileAndLines) {
  EXPECT_EQ(to_string(range(3, 3)), "Dockerfile:3");
  EXPECT_EQ(to_string(range(3, 5)), "Dockerfile:3-5");
  EXPECT_EQ(to_string(range(0, 0)), "Dockerfile");
  EXPECT_EQ(to_string(SourceRange{nullptr, 4, 4}), "<unknown>:4");
}

TEST(Excerpt, ShowsTheLinesAroundWithTheNamedOnesMarked) {
  EXPECT_EQ(excerpt(range(2, 3), 1),
            "   1 |     one\n   2 | >>> two\n   3 | >>> three\n   4 |     four\n");
  EXPECT_EQ(excerpt(range(5, 9), 0), "   5 | >>> five\n");
  EXPECT_EQ(excerpt(range(0, 0)), "");
  EXPECT_EQ(excerpt(SourceRange{nullptr, 1, 1}), "");
}

}  // namespace
}  // namespace lade
