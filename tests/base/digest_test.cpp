#include "base/digest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

constexpr const char* kEmptyHex =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string parse_error(const std::string& text) {
  try {
    Digest::parse(text);
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

TEST(Digest, IsSha256) {
  EXPECT_EQ(Digest::of("").hex(), kEmptyHex);
  EXPECT_EQ(Digest::of("abc").str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, ParseIsStrsOpposite) {
  const Digest digest = Digest::of("x");
  EXPECT_EQ(Digest::parse(digest.str()), digest);
}

TEST(Digest, ParseRefusesEverythingElse) {
  const std::string hex = kEmptyHex;
  EXPECT_THAT(parse_error(""), HasSubstr("expected sha256: and 64 hex digits"));
  EXPECT_THAT(parse_error(hex), HasSubstr("expected sha256:"));
  EXPECT_THAT(parse_error("sha256:" + hex.substr(1)), HasSubstr("64 hex digits"));
  EXPECT_THAT(parse_error("sha256:" + hex + "0"), HasSubstr("64 hex digits"));
  EXPECT_THAT(parse_error("sha256:E" + hex.substr(1)), HasSubstr("lower-case hex digits"));
  EXPECT_THAT(parse_error("sha256:g" + hex.substr(1)), HasSubstr("lower-case hex digits"));
  EXPECT_THAT(parse_error("SHA256:" + hex), HasSubstr("expected sha256:"));
  EXPECT_THAT(parse_error("sha512:" + hex + hex), HasSubstr("an algorithm lade does not support"));
  EXPECT_THAT(parse_error("sha256:../" + hex.substr(3)), HasSubstr("lower-case hex digits"));
  // A huge text is not quoted whole.
  EXPECT_LT(parse_error(std::string(100'000, 'x')).size(), 300u);
}

TEST(Digest, OnlyTheDefaultIsEmpty) {
  EXPECT_TRUE(Digest().empty());
  EXPECT_FALSE(Digest::of("").empty());
}

TEST(Hasher, PiecesGiveTheWholesDigest) {
  Hasher hasher;
  for (const char* piece : {"a", "", "bc"}) hasher.update(std::string_view(piece));
  EXPECT_EQ(hasher.finish(), Digest::of("abc"));
}

TEST(ChainIds, FollowTheImageSpecification) {
  const DiffId a{Digest::of("a")};
  const DiffId b{Digest::of("b")};
  const ChainId first = chain_id({}, a);
  EXPECT_EQ(first.digest, a.digest);
  EXPECT_EQ(chain_id(first, b).digest, Digest::of(a.digest.str() + " " + b.digest.str()));
}

}  // namespace
}  // namespace lade
