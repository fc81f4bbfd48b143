#include "base/wire.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lade {
namespace {

TEST(Wire, ReadsBackWhatWasWritten) {
  enum class Kind : uint8_t { a, b };
  const std::vector<std::string> words = {"x", "", std::string("\0y", 2)};
  const std::string bytes = WireWriter()
                                .number(std::numeric_limits<uint64_t>::max())
                                .number(int64_t{-5})
                                .number(Kind::b)
                                .number(true)
                                .text("text")
                                .digest(Digest::of("d"))
                                .texts(words)
                                .take();
  WireReader reader(bytes);
  EXPECT_EQ(reader.number(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(reader.number<int64_t>(), -5);
  EXPECT_EQ(reader.number<Kind>(), Kind::b);
  EXPECT_TRUE(reader.number<bool>());
  EXPECT_EQ(reader.text(), "text");
  EXPECT_EQ(reader.digest(), Digest::of("d"));
  ASSERT_EQ(reader.count(), words.size());
  for (const auto& word : words) EXPECT_EQ(reader.text(), word);
  EXPECT_TRUE(reader.at_end());
}

TEST(Wire, TextsThatRunTogetherDiffer) {
  EXPECT_NE(WireWriter().text("ab").text("c").take(), WireWriter().text("a").text("bc").take());
  EXPECT_NE(WireWriter().text("").take(), WireWriter().take());
}

TEST(Wire, EveryTruncationIsCorrupt) {
  const std::string bytes = WireWriter().number(7).text("text").digest(Digest::of("d")).take();
  for (size_t size = 0; size < bytes.size(); ++size) {
    WireReader reader(std::string_view(bytes).substr(0, size));
    try {
      reader.number();
      reader.text();
      reader.digest();
      ADD_FAILURE() << size << " bytes were enough";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
  }
}

TEST(Wire, LengthsAndCountsBeyondTheBytesAreRefusedBeforeAnythingIsAllocated) {
  for (const uint64_t claim :
       {uint64_t{9}, uint64_t{1} << 40, std::numeric_limits<uint64_t>::max()}) {
    const std::string bytes = WireWriter().number(claim).take() + "12345678";
    EXPECT_THROW(WireReader(bytes).text(), Error) << claim;
    EXPECT_THROW(WireReader(bytes).count(), Error) << claim;
  }
  EXPECT_EQ(WireReader(WireWriter().number(8).take() + "12345678").text(), "12345678");
}

}  // namespace
}  // namespace lade
