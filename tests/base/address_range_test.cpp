#include "base/address_range.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

std::string range_text(const std::string& text) {
  const auto range = AddressRange::parse(text);
  return ipv4_text(range.first) + " to " + ipv4_text(range.last);
}

TEST(AddressRangeTest, PrefixesAndSingleAddresses) {
  EXPECT_EQ(range_text("10.0.0.0/8"), "10.0.0.0 to 10.255.255.255");
  EXPECT_EQ(range_text("169.254.169.254"), "169.254.169.254 to 169.254.169.254");
  EXPECT_EQ(range_text("192.0.2.128/25"), "192.0.2.128 to 192.0.2.255");
  EXPECT_EQ(range_text("192.0.2.7/32"), "192.0.2.7 to 192.0.2.7");
  EXPECT_EQ(range_text("0.0.0.0/0"), "0.0.0.0 to 255.255.255.255");
}

struct BadRange {
  const char* text;
  const char* message;
  const char* hint;
};

TEST(AddressRangeTest, WhatIsNoneSaysWhy) {
  const BadRange cases[] = {
      {"", "'' is not an IPv4 address", ""},
      {"/8", "'' is not an IPv4 address", ""},
      {"example.org", "'example.org' is not an IPv4 address", ""},
      {"10.0.0/8", "'10.0.0' is not an IPv4 address", ""},
      {"10.0.0.256", "'10.0.0.256' is not an IPv4 address", ""},
      {" 10.0.0.0/8", "' 10.0.0.0' is not an IPv4 address", ""},
      {"10.0.0.0/", "'10.0.0.0/' does not end in a length of 0 to 32", ""},
      {"10.0.0.0/33", "'10.0.0.0/33' does not end in a length of 0 to 32", ""},
      {"10.0.0.0/-1", "'10.0.0.0/-1' does not end in a length of 0 to 32", ""},
      {"10.0.0.0/255.0.0.0", "'10.0.0.0/255.0.0.0' does not end in a length of 0 to 32", ""},
      {"10.1.2.3/8", "'10.1.2.3/8' has bits set beyond its first 8", "did you mean 10.0.0.0/8?"},
      {"fe80::/10", "'fe80::' is not an IPv4 address",
       "steps have no IPv6, so only IPv4 addresses need naming"},
  };
  for (const auto& bad : cases) {
    try {
      AddressRange::parse(bad.text);
      ADD_FAILURE() << bad.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.message(), bad.message);
      EXPECT_EQ(error.hint(), bad.hint);
      EXPECT_EQ(error.kind(), ErrorKind::usage);
    }
  }
}

TEST(AddressSetTest, ContainsExactlyItsRanges) {
  const AddressSet set(
      {{30, 40}, {10, 12}, {13, 15}, {11, 20}, {40, 41}, {~0u - 1, ~0u}, {~0u, ~0u}});
  for (const uint32_t in : {10u, 12u, 13u, 16u, 20u, 30u, 41u, ~0u - 1, ~0u}) {
    EXPECT_TRUE(set.contains(in)) << in;
  }
  for (const uint32_t out : {0u, 9u, 21u, 29u, 42u, ~0u - 2}) {
    EXPECT_FALSE(set.contains(out)) << out;
  }
  EXPECT_FALSE(AddressSet().contains(0));
  const AddressSet all({{0, ~0u}});
  EXPECT_TRUE(all.contains(0) && all.contains(~0u));
}

}  // namespace
}  // namespace lade
